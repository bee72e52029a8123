/** Whole AdmissionReviews, one file per behaviour in reviews/: the world, what comes in, what goes out. */
import { globSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { buildServer } from '../../src/admission/server.ts';
import { makePorts } from '../make/ports.ts';

const folder = new URL('./reviews/', import.meta.url).pathname;
const files = globSync('*/*.json', { cwd: folder }).sort();

describe('golden reviews', () => {
  it.each(files)('%s', async (file) => {
    const { world, review, answer } = JSON.parse(readFileSync(folder + file, 'utf8'));
    const stored = review.request.oldObject ?? undefined;
    const app = buildServer(makePorts({ stored, ...world }), { logger: undefined });
    const path = `/${file.split('/')[0]}`;
    const sent = await app.inject({ method: 'POST', url: path, payload: review });
    expect(sent.statusCode).toBe(200);
    expect(readable(sent.json())).toEqual(answer);
  });

  it('has one for every path of the server', () => {
    expect(new Set(files.map((file) => file.split('/')[0]))).toEqual(new Set(['mutate', 'validate', 'gate', 'drain', 'ephemeral']));
  });
});

/** The patch as it is meant, not in base64. */
function readable(answer: { response: { patch?: string } }) {
  const { patch } = answer.response;
  return patch === undefined
    ? answer
    : { ...answer, response: { ...answer.response, patch: JSON.parse(Buffer.from(patch, 'base64').toString()) } };
}
