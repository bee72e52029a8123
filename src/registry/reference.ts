/** Where an image lies: its registry's API and the path there. Names are checked, so that no path can be smuggled in. */
import { parseImage } from '../release/airflow/images.ts';
import { Unreadable } from './unreadable.ts';

export interface Place {
  /** As people write it, with its port: docker.io. */
  registry: string;
  /** Where the registry's API is: registry-1.docker.io. */
  host: string;
  repository: string;
  /** What to ask for: the digest when there is one, else the tag. */
  reference: string;
  digest: string | undefined;
}

// The grammar of github.com/distribution/reference; a digest that we could not verify is not taken.
const label = '[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?';
const host = new RegExp(`^(?:${label}(?:\\.${label})*|\\[[0-9a-fA-F:.]+\\])(?::\\d{1,5})?$`);
const part = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*';
const repository = new RegExp(`^${part}(?:/${part})*$`);
const tag = /^\w[\w.-]{0,127}$/;
const digest = /^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/;

/** The place of an image reference, `latest` when it names neither tag nor digest. Throws Unreadable for what is none. */
export function placeOf(image: string): Place {
  const named = parseImage(image);
  const inDocker = named.registry === '' || named.registry === 'docker.io' || named.registry === 'index.docker.io';
  const place: Place = {
    registry: inDocker ? 'docker.io' : named.registry,
    host: inDocker ? 'registry-1.docker.io' : named.registry,
    repository: inDocker && !named.repository.includes('/') ? `library/${named.repository}` : named.repository,
    reference: named.digest ?? named.tag ?? 'latest',
    digest: named.digest,
  };
  const well =
    image.length <= 1024 &&
    host.test(place.host) &&
    // What the grammar lets pass and no URL can hold: [..], a port over 65535, a last label that is a number but no IPv4.
    URL.canParse(`https://${place.host}/`) &&
    place.repository.length <= 255 &&
    repository.test(place.repository) &&
    (named.tag === undefined || tag.test(named.tag)) &&
    (named.digest === undefined || digest.test(named.digest));
  if (!well) throw new Unreadable('its name is no image reference');
  return place;
}
