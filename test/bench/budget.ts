/** The figure that CI watches: processor time per review of downdraft as a share of Go's, little moved by a busy machine. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Size, sizes, writeBodies } from './bodies.ts';
import { withFolder } from './folder.ts';
import { runTrials } from './measure.ts';
import { ensureGo } from './programs.ts';
import { makeCertificates, startDowndraft, startGo } from './servers.ts';

/** Worse than the recorded ratio by more than this share is a failure. */
export const tolerance = 0.3;

export const recordedFile = fileURLToPath(new URL('recorded.json', import.meta.url));

export type Ratios = Record<Size, number>;

/** What was recorded, by `npm run bench -- --record`. */
export async function recordedRatios(): Promise<Ratios> {
  return JSON.parse(await readFile(recordedFile, 'utf8')).cpuRatioToGo;
}

/** Measures both servers in turn, about a minute once Go's is built. Throws as the bench does. */
export async function measureRatios(say: (text: string) => void, signal: AbortSignal): Promise<Ratios> {
  const go = await ensureGo(say);
  return await withFolder(async (folder, stack) => {
    const ratios: Partial<Ratios> = {};
    const certificates = await makeCertificates(folder);
    const bodies = new Map<Size, string>();
    for (const size of Object.keys(sizes) as Size[]) bodies.set(size, await writeBodies(folder, size, 'allow'));
    const place = { folder, certificates, sample: join(bodies.get('8 KB')!, '0000.json') };
    const downdraft = stack.adopt(await startDowndraft(place), (server) => server.stop());
    const beside = stack.adopt(await startGo(place, go), (server) => server.stop());
    for (const [name, of] of bodies) {
      const trials = [downdraft, beside].map((server) => ({ name, server, bodies: of }));
      const told = await runTrials(go, trials, { rounds: 5, seconds: 1.2 }, say, signal);
      ratios[name] = ratioOf(
        told.map(({ trial, round }) => ({ ours: trial.server === downdraft, cpuMs: round.cpuMs })),
      );
    }
    return ratios as Ratios;
  });
}

/** Of the cheapest round of each: what disturbs the machine makes a review dearer, and never cheaper. */
function ratioOf(rounds: { ours: boolean; cpuMs: number }[]): number {
  const least = (ours: boolean) => Math.min(...rounds.filter((r) => r.ours === ours).map(({ cpuMs }) => cpuMs));
  return Number((least(true) / least(false)).toFixed(3));
}
