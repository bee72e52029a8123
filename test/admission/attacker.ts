/**
 * The worst that callers without credentials can send, from a thread of its own, by 40 clients from an address of their
 * own. It goes on until it is terminated.
 */
import https from 'node:https';
import { type Socket, connect as tcp } from 'node:net';
import { connect as tls } from 'node:tls';
import { workerData } from 'node:worker_threads';
import { makeReview } from '../make/review.ts';
import { makeDeployment } from '../make/workload.ts';
import { bodies, review } from './worst.ts';

const clients = 40;
const from = '127.0.0.2';
const target = { host: '127.0.0.1', port: (workerData as { port: number }).port, localAddress: from };
const secure = { ...target, rejectUnauthorized: false };

const streams: Record<string, () => void> = {
  'bodies held open': () => halfSent(7 * 1024 * 1024, clients),
  // As many as the room for small ones has place for, and as many again.
  'small bodies held open': () => halfSent(256 * 1024, 96),
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

/** Bodies of that many bytes of which the last never come. */
function halfSent(bytes: number, count: number): void {
  const head = `POST /mutate HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${bytes}\r\n\r\n`;
  const begun = head + ' '.repeat(bytes - 100);
  held(
    () => tls(secure),
    (socket) => void socket.write(begun),
    count,
  );
}

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
