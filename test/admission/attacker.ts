/**
 * The worst that callers without credentials can send, from a thread of its own, by 40 clients from an address of their
 * own. It goes on until it is terminated.
 */
import https from 'node:https';
import { type Socket, connect as tcp } from 'node:net';
import { connect as tls } from 'node:tls';
import { workerData } from 'node:worker_threads';
import { makeRecord } from '../make/helmrelease.ts';
import { makeReview } from '../make/review.ts';
import { makeDeployment } from '../make/workload.ts';

const clients = 40;
const from = '127.0.0.2';
const most = 6.9 * 1024 * 1024;
const target = { host: '127.0.0.1', port: (workerData as { port: number }).port, localAddress: from };
const secure = { ...target, rejectUnauthorized: false };

/** A list of as many as there is room for. */
function list(item: (at: number) => string, bytes = most): string {
  const items: string[] = [];
  for (let length = 2; length < bytes; length += items.at(-1)!.length + 1) items.push(item(items.length));
  return `[${items.join(',')}]`;
}

const review = () =>
  makeReview({ object: makeDeployment({ image: 'apache/airflow:3.1.8' }), oldObject: makeDeployment() });

/** A review that is read, with so many bytes of something that is not. */
const filled = (filling: string) => JSON.stringify(review()).replace('"object":', `"more":${filling},"object":`);

const yaml = (of: string) => `---\napiVersion: apps/v1\nkind: Deployment\n# airflow\n${of}\n`;
const record = (of: string) => {
  const manifest = yaml(of).repeat(Math.ceil((384 * 1024) / yaml(of).length));
  return JSON.stringify(makeReview({ object: makeRecord({ manifest }) as never, operation: 'CREATE' }));
};

const bodies: Record<string, [path: string, body: () => string]> = {
  'empty objects': ['/mutate', () => list(() => '{}')],
  'lists in lists': ['/mutate', () => '['.repeat(most)],
  'objects with keys of their own': ['/mutate', () => list((at) => `{"${at.toString(36)}":1}`)],
  'as many objects as a review may have': [
    '/mutate',
    () => filled(list((at) => `{"${at.toString(36)}":1}`, 66_000 * 9)),
  ],
  'as many texts as a review may have': ['/mutate', () => filled(list(() => `"${'\\u0101x'.repeat(5)}"`, most))],
  'one long text': ['/mutate', () => filled(`"\u0101${'x'.repeat(most)}"`)],
  'many objects in small bodies': ['/mutate', () => filled(list((at) => `{"${at.toString(36)}":1}`, 60_000))],
  'a record of lists': ['/record', () => record(`a: [${'a,'.repeat(30_000)}b]`)],
  'a record of questions': ['/record', () => record(`a:\n  ${'? '.repeat(3_000)}`)],
};

const streams: Record<string, () => void> = {
  'bodies held open': () => {
    const head = `POST /mutate HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${7 * 1024 * 1024}\r\n\r\n`;
    const begun = head + ' '.repeat(7 * 1024 * 1024 - 100);
    held(
      () => tls(secure),
      (socket) => void socket.write(begun),
    );
  },
  'slow headers': () =>
    held(
      () => tls(secure),
      (socket) => {
        socket.write('POST /mutate HTTP/1.1\r\n');
        const more = setInterval(() => socket.write('x: y\r\n'), 50);
        socket.once('close', () => clearInterval(more));
      },
    ),
  'many connections': () =>
    held(
      () => tls(secure),
      () => undefined,
      2000,
    ),
  'handshakes that never end': () =>
    held(
      () => tcp(target),
      (socket) => void socket.write('\x16\x03\x01\x02\x00'),
      2000,
    ),
  pipelining: () => {
    const body = JSON.stringify(review());
    const one = `POST /mutate HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
    held(
      () => tls(secure),
      (socket) => void socket.write(one.repeat(200)),
    );
  },
  'names that nobody has': () =>
    repeated('/mutate', () => {
      const namespace = `n${Math.random().toString(36).slice(2)}`;
      const object = makeDeployment({ namespace, image: 'apache/airflow:3.1.8' });
      return JSON.stringify(makeReview({ object, oldObject: makeDeployment({ namespace }) }));
    }),
};

/** Keeps that many connections, each with what is said on it; one that is ended is opened again. */
function held(open: () => Socket, say: (socket: Socket) => void, count = clients): void {
  for (let i = 0; i < count; i++) {
    const once = () => {
      const socket = open();
      socket.on('error', () => undefined).resume();
      socket.once('close', () => setTimeout(once, 100));
      say(socket);
    };
    once();
  }
}

/** Sends again as soon as there is an answer, whatever it is. */
function repeated(path: string, body: () => string): void {
  const agent = new https.Agent({ ...secure, keepAlive: true });
  for (let i = 0; i < clients; i++) {
    const once = () => {
      const sent = https.request({
        ...secure,
        agent,
        path,
        method: 'POST',
        headers: { 'content-type': 'application/json' },
      });
      let open = true;
      const again = () => {
        if (open) setTimeout(once, 1);
        open = false;
      };
      sent.on('error', again).on('close', again);
      sent.on('response', (response) => response.resume().once('close', again));
      sent.end(body());
    };
    once();
  }
}

const { attack } = workerData as { attack: string };
const whole = bodies[attack];
if (whole) {
  const body = whole[1]();
  repeated(whole[0], () => body);
} else if (streams[attack]) streams[attack]();
else throw new Error(`no attack is called ${attack}`);
