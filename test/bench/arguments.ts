/** What a person can ask of `npm run bench`. */
import { parseArgs } from 'node:util';

export interface Asked {
  help: boolean;
  /** Rounds of each measurement, and the seconds of each round. */
  rounds: number;
  seconds: number;
  /** Where the figures go as JSON; undefined: nowhere. */
  json: string | undefined;
  /** Whether the ratio that CI compares with is written down anew. */
  record: boolean;
  /** Whether only what it takes in a big cluster is measured. */
  memory: boolean;
}

export const help = `npm run bench                 measure downdraft's server beside others, then in big clusters, about 12 minutes
npm run bench -- --quick      the same with few and short rounds, to see that it works
npm run bench -- --json FILE  the figures as JSON, too
npm run bench -- --record     only write down the ratio that CI compares with (test/bench/recorded.json)
npm run bench -- --memory     only the big clusters: what a follower and a leader take in them
npm run bench -- --help       this text

Side by side, in interleaved rounds on this machine: downdraft, a controller-runtime webhook in Go that decodes both
objects and allows, and Pepr with one rule that compares images. Each is alone in its own process and answers over TLS
with keep-alive on 4 connections. What is asked is an update of an Airflow image, 8 KB and 1 MB large, of one of 1,000
releases; downdraft judges it, and the figures named "held" are of one that ends in a hold. The last one reads a real
PostgreSQL for every review. It needs Linux and Go; the first run builds and installs what is measured (3 minutes).
The big cluster has 1,000 releases, 100,000 pods of 10 KB (10,000 in one namespace) and 20,000 Deployments of others; a
stand-in answers for its API server. Then 10,000 pods are made on a real one, without nodes, and a leader is started. Close other programs: the figures are medians, but a busy machine still moves them.
`;

/** Reads the command line. Throws one line that says what is wrong with it. */
export function readArguments(args: string[]): Asked {
  const { values } = parse(args);
  const length = values.quick ? { rounds: 3, seconds: 1 } : { rounds: 7, seconds: 3 };
  if (values.json === '') throw new Error('--json needs the name of a file');
  return { help: values.help, json: values.json, record: values.record, memory: values.memory, ...length };
}

function parse(args: string[]) {
  try {
    return parseArgs({
      args,
      options: {
        help: { type: 'boolean', default: false },
        quick: { type: 'boolean', default: false },
        record: { type: 'boolean', default: false },
        memory: { type: 'boolean', default: false },
        json: { type: 'string' },
      },
    });
  } catch (error) {
    throw new Error((error as Error).message.split('. ')[0]);
  }
}
