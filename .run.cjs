/** npm's scripts start through this file. Any Node can read it, so that one too old for the rest is told in one line. */
const { existsSync } = require('node:fs');
const { join, resolve } = require('node:path');
const { pathToFileURL } = require('node:url');
const { engines } = require('./package.json');

const [needed] = /\d+/.exec(engines.node);
const { node } = process.versions;

if (Number.parseInt(node, 10) < Number(needed)) {
  stop(`this is Node ${node}, and Node ${needed} or newer is needed: "npm ci" brings it along for "npm run …"`);
} else if (!existsSync(join(__dirname, 'node_modules'))) {
  stop('the packages are missing: run "npm ci" first');
} else {
  // As if it had been started by itself.
  process.argv.splice(1, 1);
  process.argv[1] = resolve(process.argv[1]);
  void import(pathToFileURL(process.argv[1]).href);
}

function stop(why) {
  console.error(`downdraft: ${why}`);
  process.exitCode = 1;
}
