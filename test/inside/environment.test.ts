/** What the runner does before it connects, without an Airflow: only Python's own library is needed. */
import { expect, it } from 'vitest';
import { run } from '../cluster/command.ts';
import { packageEnv } from '../make/inside.ts';

/** The last line that a program prints which waits for a proxy at an address. */
async function waited(url: string, before = ''): Promise<string> {
  const program = `
import json, socket, time
from downdraft.environment import await_proxy
class Engine:
    class dialect: name = "postgresql"
class Url:
    host, port = ${url}
Engine.url = Url
tries = []
class Stand:
    def close(self): pass
def connect(address, timeout):
    tries.append(address)
    ${before || 'return Stand()'}
socket.create_connection = connect
time.sleep = lambda _: None
await_proxy(Engine)
print(json.dumps([len(tries), tries[-1:]]))`;
  const { stdout } = await run('python3', ['-c', program], {
    env: { ...process.env, ...packageEnv, DOWNDRAFT_PROXY_SECONDS: '3600' },
  });
  return stdout.trim().split('\n').at(-1)!;
}

it.each([
  ['"127.0.0.1", 6432', [1, [['127.0.0.1', 6432]]]],
  ['"localhost", None', [1, [['localhost', 5432]]]],
  ['"::1", None', [1, [['::1', 5432]]]],
  ['"db.corp", 5432', [0, []]],
  ['"127.corp", 5432', [0, []]],
  ['"localhost.corp", 5432', [0, []]],
  ['None, None', [0, []]],
])('only at an address of the pod itself a proxy is waited for: %s', async (url, wanted) => {
  expect(JSON.parse(await waited(url))).toEqual(wanted);
});

it('it is waited for until it listens', async () => {
  const later = `if len(tries) < 7: raise ConnectionRefusedError()
    return Stand()`;
  expect(JSON.parse(await waited('"localhost", None', later))).toEqual([7, [['localhost', 5432]]]);
});
