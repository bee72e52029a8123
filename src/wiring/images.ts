/** Images in their registries: which host may be dialled for whom, with whose pull secrets. */
import { readFileSync } from 'node:fs';
import type { Client } from '../cluster/client/client.ts';
import { withoutItsText } from '../cluster/client/errors.ts';
import { pullSecretsOf } from '../cluster/reads.ts';
import type { Config } from '../config.ts';
import { cachedImages } from '../registry/cache.ts';
import { credentialsFor } from '../registry/credentials.ts';
import { mayDial } from '../registry/dialable.ts';
import { type ReadOptions, readDigest, readImage } from '../registry/read.ts';
import type { DigestAnswer, RegistryAnswer } from '../release/airflow/images.ts';
import type { WorkloadObject } from '../release/model/kubernetes.ts';

/** A tag may be pushed anew; what it named is believed for this long. */
const ttlMs = 60_000;

const failureTtlMs = 10_000;

/** Longer than a review has: a slow registry is then known to the next one. */
const timeoutMs = 10_000;

/** Asks an image's registry for a stored workload. Never throws: what can't be told is unknown. */
type Ask<T> = (image: string, workload: WorkloadObject, signal?: AbortSignal) => Promise<T | { unknown: string }>;

export interface Registries {
  /** Which Airflow is in an image. */
  version: Ask<RegistryAnswer>;
  /** Which image a name has now. */
  digest: Ask<DigestAnswer>;
}

/** Reads and keeps images' configs and digests. The CA file is read once, at start; throws when there is none. */
export function registryOf(client: Client, config: Config): Registries {
  const ca = config.registryCa ? readFileSync(config.registryCa, 'utf8') : undefined;
  const keeping = { entries: 500, ttlMs, failureTtlMs, now: () => performance.now() };
  const asking = { client, config, ca };
  return {
    version: askBy(cachedImages(readImage, keeping), asking),
    digest: askBy(cachedImages(readDigest, keeping), asking),
  };
}

function askBy<T extends object>(
  read: (image: string, options: ReadOptions) => Promise<T | { unknown: string }>,
  { client, config, ca }: { client: Client; config: Config; ca: string | undefined },
): Ask<T> {
  return async (image, workload, signal) => {
    if (!mayDial(image, workload))
      return {
        unknown: 'its registry is none that this workload had before, so it is asked once the change is stored',
      };
    try {
      const secrets = await pullSecretsOf(client, workload);
      const { credentials, faults } = credentialsFor(image, secrets);
      const limits = { ca, insecureHosts: config.registryPlainHttp, timeoutMs };
      const told = await read(image, { credentials, ...limits, signal });
      return 'unknown' in told && faults.length > 0 ? { unknown: `${told.unknown} (${faults.join('; ')})` } : told;
    } catch (error) {
      return { unknown: `its registry was not asked: ${withoutItsText(error).message}` };
    }
  };
}
