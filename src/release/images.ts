/**
 * Which Airflow is in an image, told from its name alone. A tag counts only for repositories listed as Airflow's own:
 * mycompany/airflow:2.1.0 may be the company's own number.
 */
import { explain, satisfies } from '@renovatebot/pep440';
import { headOf } from './heads.ts';
import type { ImageKnowledge, ImageUnknown } from './release.ts';

export interface ImageReference {
  /** Host of the registry, '' when the reference names none. */
  registry: string;
  repository: string;
  tag: string | undefined;
  digest: string | undefined;
}

/** Takes an image reference apart, as containerd reads it: the first part is a host if it has a dot or port or is localhost. */
export function parseImage(image: string): ImageReference {
  const [name = '', digest] = image.split('@', 2);
  const slash = name.indexOf('/');
  const first = slash < 0 ? '' : name.slice(0, slash);
  const hosted = first === 'localhost' || /[.:]/.test(first);
  const rest = hosted ? name.slice(slash + 1) : name;
  const colon = rest.lastIndexOf(':');
  const tagged = colon > rest.lastIndexOf('/');
  return {
    registry: hosted ? first : '',
    repository: tagged ? rest.slice(0, colon) : rest,
    tag: tagged ? rest.slice(colon + 1) : undefined,
    digest,
  };
}

/** An Airflow version at the start of a tag: 3.1.8, 3.1.8-python3.12, slim-3.1.8; undefined for latest or a name. */
export function versionOfTag(tag: string): string | undefined {
  const match = /^(?:slim-)?(\d+\.\d+\.\d+(?:(?:a|b|rc|\.post|\.dev)\d+)?)(?:-python3\.\d+)?$/.exec(tag);
  return match?.[1];
}

/** True when the image's repository is listed; an entry without a registry's host stands for that path on any registry. */
export function isListed(reference: ImageReference, repositories: readonly string[]): boolean {
  const full = reference.registry ? `${reference.registry}/${reference.repository}` : reference.repository;
  return repositories.some((r) => r === full || r === reference.repository);
}

/**
 * What is known of an image: what a probe learned, else its tag, else the annotation. Two sources that disagree are unknown.
 * `repositories` lists Airflow's own repositories.
 */
export function knowImage(
  image: string,
  from: { learned: ImageKnowledge | undefined; repositories: readonly string[]; declared: string | undefined },
): ImageKnowledge | ImageUnknown {
  if (from.learned) return from.learned;
  const reference = parseImage(image);
  const tagged =
    reference.tag && !reference.digest && isListed(reference, from.repositories)
      ? versionOfTag(reference.tag)
      : undefined;
  const declared = from.declared;
  if (declared !== undefined && !explain(declared))
    return unknown(image, `annotation downdraft.dev/airflow-version is "${declared}", which is no version`);
  if (tagged && declared && !satisfies(tagged, `==${declared}`))
    return unknown(image, `its tag says ${tagged} and the annotation downdraft.dev/airflow-version says ${declared}`);
  const version = tagged ?? declared;
  if (!version) return unknown(image, 'its name does not tell the Airflow version');
  return { image, source: tagged ? 'tag' : 'annotation', version, coreHead: headOf(version) };
}

function unknown(image: string, why: string): ImageUnknown {
  return { image, source: 'unknown', why };
}
