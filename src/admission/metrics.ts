/**
 * What is counted of reviews, and what this process takes, in Prometheus' text format.
 *
 * Every label has a bounded set of values: webhooks, verdicts and reasons are ours, all told some dozens of series. Names
 * of namespaces, releases or workloads are no labels: whoever reaches the port can make names up, each would stay in
 * memory for ever, and the audit log and the events of the workloads name them.
 */
import { Counter, Gauge, Histogram, Registry } from '@prometheus-io/client';
import { type Reason, reasons } from '../release/model/reasons.ts';
import type { Audit } from './review.ts';

export interface AdmissionMetrics {
  /**
   * Counts one answered review. `webhook` is the route that answered, as "/mutate"; `seconds` from the parsed body to the
   * answer. A dry run is marked as one: tools that compare by dry run would else look like deployments.
   */
  reviewed(audit: Audit, webhook: string, seconds: number, dryRun?: boolean): void;
  /** All metrics, as they stand now. */
  text(): Promise<string>;
  /** Of `text`, for the Content-Type header. */
  contentType: string;
}

/**
 * Seconds. Judged without I/O a review takes less than a millisecond, with a look at the database some ten; the API server
 * gives up after 5 at the latest, by the timeoutSeconds of manifests/webhooks.yaml.
 */
const buckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

/**
 * Builds the metrics of one process. `webhooks` are the routes; what counts errors is there from the start, at 0. `guarded`
 * tells whether the API server asks us at all.
 */
export function admissionMetrics(webhooks: readonly string[], guarded?: () => boolean): AdmissionMetrics {
  const register = new Registry();
  const registers = [register];
  const reviews = new Counter({
    name: 'downdraft_reviews_total',
    help: 'Answered reviews, by the webhook that answered, the verdict and its reason.',
    labelNames: ['webhook', 'verdict', 'reason', 'dry_run'] as const,
    registers,
  });
  const duration = new Histogram({
    name: 'downdraft_review_duration_seconds',
    help: 'Time from the parsed review to its answer.',
    labelNames: ['webhook'] as const,
    buckets,
    registers,
  });
  const observed = new Counter({
    name: 'downdraft_observed_total',
    help: 'Changes let through because the DowngradePolicy only observes, by what they would have met.',
    labelNames: ['verdict', 'reason', 'dry_run'] as const,
    registers,
  });
  for (const path of webhooks) {
    const webhook = nameOf(path);
    reviews.inc({ webhook, verdict: 'error', reason: 'NotJudged', dry_run: 'false' }, 0);
    duration.zero({ webhook });
  }
  for (const [verdict, reason] of stopping) observed.inc({ verdict, reason, dry_run: 'false' }, 0);
  if (guarded)
    new Gauge({
      name: 'downdraft_guarded',
      help: '1 while the webhook configurations are there, 0 when one was seen to be gone: then nothing is judged.',
      registers,
      collect: gaugeOf(() => Number(guarded())),
    });
  addProcess(registers);

  return {
    reviewed(audit, path, seconds, dryRun = false) {
      const webhook = nameOf(path);
      const dry_run = String(dryRun);
      reviews.inc({ webhook, verdict: audit.verdict, reason: audit.reason, dry_run });
      duration.observe({ webhook }, seconds);
      if (audit.observed) observed.inc({ verdict: audit.observed.verdict, reason: audit.observed.reason, dry_run });
    },
    text: () => register.metrics(),
    contentType: register.contentType,
  };
}

/** What may stop a change, as verdict and reason. */
const stopping = Object.entries(reasons)
  .filter(([, [where]]) => where === 'hold' || where === 'deny')
  .map(([reason, [where]]) => [where, reason as Reason] as const);

function nameOf(path: string): string {
  return path.replace(/^\//, '');
}

/**
 * This process, under the names that Prometheus clients use. The library's own collectors are left out: their
 * event-loop monitor wakes an idle process 100 times a second (1 % of a core) and they make 190 lines.
 */
function addProcess(registers: Registry[]): void {
  const startedAt = Date.now() / 1000 - process.uptime();
  const gauge = (name: string, help: string, read: () => number) =>
    new Gauge({ name, help, registers, collect: gaugeOf(read) });
  gauge('process_resident_memory_bytes', 'Resident memory.', () => process.memoryUsage.rss());
  gauge('nodejs_heap_size_used_bytes', 'Heap in use by JavaScript objects.', () => process.memoryUsage().heapUsed);
  gauge('process_start_time_seconds', 'Start, as seconds since 1970.', () => startedAt);
  new Counter({
    name: 'process_cpu_seconds_total',
    help: 'Processor time, user and system.',
    registers,
    collect() {
      const { user, system } = process.cpuUsage();
      this.reset();
      this.inc((user + system) / 1e6);
    },
  });
}

function gaugeOf(read: () => number) {
  return function collect(this: Gauge) {
    this.set(read());
  };
}
