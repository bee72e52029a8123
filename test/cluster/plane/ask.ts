import { readFile } from 'node:fs/promises';
import { request as plain } from 'node:http';
import { request as secure } from 'node:https';
import type { Pki } from './pki.ts';

/** What a server answered. */
export interface Answer {
  status: number;
  body: string;
}

/** One request to the API server as the cluster's admin; 5 s at most. Throws when there is no answer. */
export async function askApiServer(
  server: string,
  pki: Pki,
  path: string,
  write?: { method: string; body: unknown },
): Promise<Answer> {
  const [ca, cert, key] = await Promise.all([pki.caCert, pki.adminCert, pki.adminKey].map((file) => readFile(file)));
  const body = write && JSON.stringify(write.body);
  const request = secure(new URL(path, server), {
    ...{ ca, cert, key, method: write?.method ?? 'GET', agent: false, timeout: 5000 },
    headers: { 'content-type': 'application/json' },
  });
  return await answerOf(request, body);
}

/** One plain HTTP request; 5 s at most. Throws when there is no answer. */
export async function askPlain(
  url: string,
  write?: { method: string; body: string | Buffer; type: string },
): Promise<Answer> {
  const headers = write && { 'content-type': write.type };
  return await answerOf(
    plain(url, { method: write?.method ?? 'GET', agent: false, timeout: 5000, headers }),
    write?.body,
  );
}

async function answerOf(request: ReturnType<typeof plain>, body: string | Buffer | undefined): Promise<Answer> {
  return await new Promise((resolve, reject) => {
    request.once('timeout', () => request.destroy(new Error('no answer within 5 s')));
    request.once('error', reject);
    request.once('response', (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk) => {
        text += chunk;
      });
      response.once('error', reject).once('end', () => resolve({ status: response.statusCode ?? 0, body: text }));
    });
    request.end(body);
  });
}
