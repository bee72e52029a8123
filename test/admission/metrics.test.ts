/** What /metrics tells: names, labels, counts, and that the text is one that Prometheus reads. */
import { describe, expect, it } from 'vitest';
import { admissionMetrics } from '../../src/admission/metrics.ts';
import type { Audit } from '../../src/admission/review.ts';
import { reasons } from '../../src/release/model/reasons.ts';

const routes = ['/mutate', '/validate'];
const held: Audit = { verdict: 'hold', reason: 'DatabaseAhead' };
const watched: Audit = { verdict: 'allow', reason: 'Observed', observed: held as Audit['observed'] & object };

interface Sample {
  name: string;
  labels: Record<string, string>;
  value: number;
}

/** Reads Prometheus' text format strictly; throws at the first line that is none. */
function read(text: string): { samples: Sample[]; types: Map<string, string> } {
  expect(text.endsWith('\n')).toBe(true);
  const samples: Sample[] = [];
  const types = new Map<string, string>();
  const helped = new Set<string>();
  for (const line of text.split('\n')) {
    const [, comment, about, rest] = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line) ?? [];
    if (comment === 'HELP') helped.add(about!);
    else if (comment === 'TYPE') types.set(about!, rest!);
    else if (line !== '') samples.push(sampleOf(line, types));
  }
  expect([...helped]).toEqual([...types.keys()]);
  return { samples, types };
}

function sampleOf(line: string, types: Map<string, string>): Sample {
  const [, name = '', , inside = '', number = ''] = /^([a-z_]+)(\{(.*)\})? (\S+)$/.exec(line) ?? [];
  const family = types.has(name) ? name : name.replace(/_(bucket|sum|count)$/, '');
  expect(types.has(family), `no TYPE before: ${line}`).toBe(true);
  const labels = [...inside.matchAll(/([a-z_]+)="([^"\\\n]*)"(?:,|$)/g)];
  expect(labels.map(([all]) => all).join(''), line).toBe(inside);
  const value = Number(number);
  expect(Number.isFinite(value), line).toBe(true);
  return { name, labels: Object.fromEntries(labels.map(([, key, text]) => [key!, text!])), value };
}

type Metrics = ReturnType<typeof admissionMetrics>;

async function samples(metrics: Metrics, name: string, labels: Record<string, string> = {}): Promise<Sample[]> {
  const { samples: all } = read(await metrics.text());
  return all.filter((s) => s.name === name && Object.entries(labels).every(([key, value]) => s.labels[key] === value));
}

async function value(metrics: Metrics, name: string, labels: Record<string, string> = {}): Promise<number | undefined> {
  const found = await samples(metrics, name, labels);
  expect(found.length, `${name} ${JSON.stringify(labels)}`).toBeLessThanOrEqual(1);
  return found[0]?.value;
}

describe('reviews', () => {
  it('are counted by webhook, verdict and reason', async () => {
    const metrics = admissionMetrics(routes);
    metrics.reviewed(held, '/mutate', 0.002);
    metrics.reviewed(held, '/mutate', 0.002);
    metrics.reviewed({ verdict: 'deny', reason: 'HoldRemoved' }, '/validate', 0.002);
    const of = { webhook: 'mutate', verdict: 'hold', reason: 'DatabaseAhead', dry_run: 'false' };
    expect(await value(metrics, 'downdraft_reviews_total', of)).toBe(2);
    expect(await value(metrics, 'downdraft_reviews_total', { webhook: 'validate', verdict: 'deny' })).toBe(1);
  });

  it('of a dry run are told from those of a deployment', async () => {
    const metrics = admissionMetrics(routes);
    metrics.reviewed(held, '/mutate', 0.002, true);
    metrics.reviewed(watched, '/mutate', 0.002, true);
    expect(await value(metrics, 'downdraft_reviews_total', { verdict: 'hold', dry_run: 'true' })).toBe(1);
    expect(await value(metrics, 'downdraft_reviews_total', { verdict: 'hold', dry_run: 'false' })).toBeUndefined();
    const of = { reason: 'DatabaseAhead' };
    expect(await value(metrics, 'downdraft_observed_total', { ...of, dry_run: 'true' })).toBe(1);
    expect(await value(metrics, 'downdraft_observed_total', { ...of, dry_run: 'false' })).toBe(0);
  });

  it('that only observe count as let through, and as what they would have met', async () => {
    const metrics = admissionMetrics(routes);
    metrics.reviewed(watched, '/mutate', 0.002);
    metrics.reviewed(held, '/mutate', 0.002);
    expect(await value(metrics, 'downdraft_reviews_total', { reason: 'Observed' })).toBe(1);
    const of = { verdict: 'hold', reason: 'DatabaseAhead' };
    expect(await value(metrics, 'downdraft_observed_total', of)).toBe(1);
  });

  it('that could not be judged, and what could be observed, stand at 0 from the start, so that a first one is an increase', async () => {
    const metrics = admissionMetrics(routes);
    const errors = await samples(metrics, 'downdraft_reviews_total');
    expect(errors.map(({ labels, value }) => [labels.webhook, labels.verdict, value])).toEqual([
      ['mutate', 'error', 0],
      ['validate', 'error', 0],
    ]);
    const stops = Object.entries(reasons).filter(([, [where]]) => where === 'hold' || where === 'deny');
    const observed = await samples(metrics, 'downdraft_observed_total');
    expect(observed.map(({ labels }) => labels.reason)).toEqual(stops.map(([reason]) => reason));
    expect(new Set(observed.map(({ value }) => value))).toEqual(new Set([0]));
  });

  it('have times in seconds, in buckets from half a millisecond to the 5 s of the webhooks', async () => {
    const metrics = admissionMetrics(routes);
    for (const seconds of [0.0004, 0.012, 4.9, 6]) metrics.reviewed(held, '/mutate', seconds);
    const at = async (le: string) =>
      await value(metrics, 'downdraft_review_duration_seconds_bucket', { webhook: 'mutate', le });
    expect(await Promise.all(['0.0005', '0.01', '0.025', '5', '+Inf'].map(at))).toEqual([1, 1, 2, 3, 4]);
    expect(await value(metrics, 'downdraft_review_duration_seconds_count', { webhook: 'mutate' })).toBe(4);
    expect(await value(metrics, 'downdraft_review_duration_seconds_sum', { webhook: 'mutate' })).toBeCloseTo(10.9124);
    expect(await value(metrics, 'downdraft_review_duration_seconds_count', { webhook: 'validate' })).toBe(0);
  });
});

describe('the text', () => {
  it('is of the content type that Prometheus asks for, and every name keeps its conventions', async () => {
    const metrics = admissionMetrics(routes);
    metrics.reviewed(watched, '/mutate', 0.002);
    expect(metrics.contentType).toMatch(/^text\/plain; version=0\.0\.4; charset=utf-8$/);
    const { types } = read(await metrics.text());
    for (const [name, type] of types) {
      expect(name).toMatch(/^(downdraft|process|nodejs)_[a-z_]+$/);
      expect(name.endsWith('_total'), `${name} is a ${type}`).toBe(type === 'counter');
      if (type !== 'counter') expect(name).toMatch(/_(seconds|bytes)$/);
    }
  });

  it('tells what this process takes', async () => {
    const metrics = admissionMetrics(routes);
    expect(await value(metrics, 'process_resident_memory_bytes')).toBeGreaterThan(20e6);
    expect(await value(metrics, 'nodejs_heap_size_used_bytes')).toBeGreaterThan(1e6);
    const start = (await value(metrics, 'process_start_time_seconds'))!;
    expect(Math.abs(start - (Date.now() / 1000 - process.uptime()))).toBeLessThan(1);
    const before = (await value(metrics, 'process_cpu_seconds_total'))!;
    for (const until = Date.now() + 30; Date.now() < until; );
    const after = (await value(metrics, 'process_cpu_seconds_total'))!;
    expect(after).toBeGreaterThan(before);
    const { user, system } = process.cpuUsage();
    expect(after).toBeLessThanOrEqual((user + system) / 1e6);
  });

  it('grows with no name that a review carries: only these labels, and as many series as there are reasons', async () => {
    const metrics = admissionMetrics(routes);
    for (const reason of Object.keys(reasons) as Audit['reason'][])
      for (const route of routes)
        for (const dry of [true, false]) metrics.reviewed({ verdict: 'deny', reason }, route, 1, dry);
    const { samples: all } = read(await metrics.text());
    const labels = new Set(all.flatMap((sample) => Object.keys(sample.labels)));
    expect([...labels].sort()).toEqual(['dry_run', 'le', 'reason', 'verdict', 'webhook']);
    // One for each reason, route and kind of run, and what is there anyway.
    expect(all.length).toBeLessThan(4 * Object.keys(reasons).length + 100);
  });

  it('of one process is not shared with another built beside it', async () => {
    const [one, other] = [admissionMetrics(routes), admissionMetrics(routes)];
    one.reviewed(held, '/mutate', 1);
    expect(await value(other, 'downdraft_review_duration_seconds_count', { webhook: 'mutate' })).toBe(0);
  });
});
