/** Whole AdmissionReviews, one file per behaviour in reviews/: the world, what comes in, what goes out. */
import { globSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { buildServer, webhooks } from '../../src/admission/server.ts';
import { reasons } from '../../src/release/model/reasons.ts';
import { makePorts } from '../make/ports.ts';

const folder = new URL('./reviews/', import.meta.url).pathname;
const files = globSync('*/*.json', { cwd: folder }).sort();
const read = (file: string) => JSON.parse(readFileSync(folder + file, 'utf8'));
const goldens = files.map(read).map(({ review, answer }) => ({ request: review.request, answer }));
const told: { verdict: string; reason: string; observed?: string }[] = goldens.map(
  ({ answer }) => answer.response.auditAnnotations,
);

describe('golden reviews', () => {
  it.each(files)('%s', async (file) => {
    const { world, review, answer } = read(file);
    const stored = review.request.oldObject ?? undefined;
    const app = buildServer(makePorts({ stored, ...world }), { logger: undefined });
    const path = `/${file.split('/')[0]}`;
    const sent = await app.inject({ method: 'POST', url: path, payload: review });
    expect(sent.statusCode).toBe(200);
    expect(readable(sent.json())).toEqual(answer);
  });

  it.each(Object.keys(webhooks))('there is one for the path %s', (path) => {
    expect(files.filter((file) => `/${file.split('/')[0]}` === path)).not.toEqual([]);
  });

  const met = Object.entries(reasons).filter(([, [where]]) => where !== 'run');

  it.each(met.map(([reason, [where]]) => [where, reason]))('there is one that %ss because of %s', (verdict, reason) => {
    expect(told.map((audit) => `${audit.verdict} ${audit.reason}`)).toContain(`${verdict} ${reason}`);
  });

  it('there is one that would have been held and one that would have been denied, where the policy only observes', () => {
    const observed = told.flatMap((audit) => audit.observed?.split(' ')[0] ?? []);
    expect(new Set(observed)).toEqual(new Set(['hold', 'deny']));
  });

  it('no warning is cut, and the ordinary ones have at most 120 characters', () => {
    for (const { answer } of goldens) {
      const { warnings = [], auditAnnotations } = answer.response;
      const ordinary = ['DatabaseAhead', 'ProviderAhead', 'Draining'].includes(auditAnnotations.reason);
      for (const warning of warnings) {
        expect(warning).not.toMatch(/…$/);
        expect(warning.length, warning).toBeLessThanOrEqual(ordinary ? 120 : 256);
      }
    }
  });

  it('none says one thing in the audit log and does another', () => {
    for (const { request, answer } of goldens) {
      const { allowed, auditAnnotations, patch, uid } = answer.response;
      expect(uid).toBe(request.uid);
      expect(allowed).toBe(['allow', 'hold'].includes(auditAnnotations.verdict));
      if (!allowed) expect(patch).toBeUndefined();
    }
  });
});

/** The patch as it is meant, not in base64. */
function readable(answer: { response: { patch?: string } }) {
  const { patch } = answer.response;
  return patch === undefined
    ? answer
    : { ...answer, response: { ...answer.response, patch: JSON.parse(Buffer.from(patch, 'base64').toString()) } };
}
