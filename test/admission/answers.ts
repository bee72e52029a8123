/** Reviews through the whole server, and what every answer must have. */
import { expect } from 'vitest';
import { buildServer } from '../../src/admission/server.ts';
import { makePorts, type World } from '../make/ports.ts';
import { makeReview } from '../make/review.ts';

export interface Answer {
  uid: string;
  allowed: boolean;
  status?: { message: string };
  patchType?: string;
  /** In base64. */
  patch?: string;
  warnings?: string[];
  auditAnnotations: { verdict: string; reason: string };
}

/** Sends reviews to a server that finds that world, as it is at the time. */
export function postTo(world: World): (path: string, review: unknown) => Promise<Answer> {
  const app = buildServer(makePorts(world), { logger: undefined });
  const headers = { 'content-type': 'application/json' };
  return async (path, review) => {
    const sent = await app.inject({ method: 'POST', url: path, payload: JSON.stringify(review), headers });
    expect(sent.statusCode).toBe(200);
    return JSON.parse(sent.body).response;
  };
}

/** Whatever the verdict: the uid, a reason for the audit log, a sentence for a refusal, no warning that would be cut. */
export function expectWellFormed({ uid, allowed, status, warnings = [], auditAnnotations }: Answer): void {
  expect(uid).toBe(makeReview().request.uid);
  expect(allowed || status!.message.length > 20).toBe(true);
  expect(['allow', 'hold', 'deny', 'error']).toContain(auditAnnotations.verdict);
  expect(auditAnnotations.reason).toMatch(/^[A-Z][A-Za-z]+$/);
  for (const warning of warnings) expect(warning.length).toBeLessThanOrEqual(256);
}
