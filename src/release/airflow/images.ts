/**
 * Which Airflow is in an image, as far as it can be told without running it. A tag counts only for repositories listed as
 * Airflow's own: mycompany/airflow:2.1.0 may be the company's own number.
 */

import { explain } from '@renovatebot/pep440';
import type { ImageKnowledge, ImageUnknown } from '../model/image.ts';
import { compareRevisions, headOf } from './revisions.ts';
import { sameRelease } from './versions.ts';

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

/** The digest in an image reference; undefined when it names none. */
export function digestIn(image: string): string | undefined {
  return image.includes('@') ? parseImage(image).digest : undefined;
}

/** An Airflow version at the start of a tag: 3.1.8, 3.1.8-python3.12, slim-3.1.8; undefined for latest or a name. */
export function versionOfTag(tag: string): string | undefined {
  const match = /^(?:slim-)?(\d+\.\d+\.\d+(?:(?:a|b|rc|\.post|\.dev)\d+)?)(?:-python3\.\d+)?$/.exec(tag);
  return match?.[1];
}

/** True when the image's repository is listed; an entry without a registry's host stands for that path on any registry. */
function isListed(reference: ImageReference, repositories: readonly string[]): boolean {
  const full = reference.registry ? `${reference.registry}/${reference.repository}` : reference.repository;
  return repositories.some((r) => r === full || r === reference.repository);
}

/** What the image's config in its registry says, or why it says nothing; undefined: not asked. */
export type RegistryAnswer =
  | { version: string; from: 'label' | 'env'; digest: string }
  | { unknown: string }
  | undefined;

/** The digest that a name has in its registry now, or why it can't be told; undefined: not asked. */
export type DigestAnswer = { digest: string } | { unknown: string } | undefined;

export interface ImageSources {
  /** What the very image that is meant told when it was run (learnedOf). */
  learned: ImageKnowledge | undefined;
  registry?: RegistryAnswer;
  /** Airflow's own repositories. */
  repositories: readonly string[];
  /** The annotation downdraft.dev/airflow-version: a person's word, by which nothing is let through (judge). */
  declared: string | undefined;
}

/** What a tag of one of Airflow's own repositories says. */
export function versionInName(image: string, repositories: readonly string[]): string | undefined {
  const reference = parseImage(image);
  const counts = reference.tag && !reference.digest && isListed(reference, repositories);
  return counts ? versionOfTag(reference.tag!) : undefined;
}

/**
 * What is known of an image: what it told itself, else its tag, its config in the registry, the annotation. Two of these
 * that disagree are unknown: none of them is better than the other.
 */
export function knowImage(
  image: string,
  { learned, registry, repositories, declared }: ImageSources,
): ImageKnowledge | ImageUnknown {
  const contradiction = learned && contradictionOf(learned, repositories);
  if (contradiction) return unknown(image, contradiction);
  if (learned) return learned;
  const said: [ImageKnowledge['source'], string, string][] = [];
  const tagged = versionInName(image, repositories);
  if (tagged) said.push(['tag', tagged, 'its tag']);
  if (registry && 'version' in registry)
    said.push(['registry', registry.version, `its ${registry.from} in the registry`]);
  if (declared !== undefined) said.push(['annotation', declared, 'the annotation downdraft.dev/airflow-version']);
  const wrong = said.find(([, version]) => !explain(version));
  if (wrong) return unknown(image, `${wrong[2]} is "${wrong[1]}", which is no version`);
  const [first, ...others] = said;
  if (!first) return unknown(image, why(registry));
  const other = others.find(([, version]) => !sameRelease(version, first[1]));
  if (other) return unknown(image, `${first[2]} says ${first[1]} and ${other[2]} says ${other[1]}`);
  return { image, source: first[0], version: first[1], coreHead: headOf(first[1]) };
}

/**
 * Of one of Airflow's own repositories both the tag and the table tell what is in an image. One that says otherwise when it
 * is run is not what it is called, or its pod was made to say so.
 */
export function contradictionOf(told: ImageKnowledge, repositories: readonly string[]): string | undefined {
  const tagged = versionInName(told.image, repositories);
  const head = tagged === undefined ? undefined : headOf(tagged);
  if (tagged === undefined || head === undefined) return undefined;
  const at = told.coreHead;
  if (sameRelease(told.version, tagged) && at !== undefined && compareRevisions(at, head) === 'same') return undefined;
  const said = `${told.version}${at === undefined ? '' : ` and needs ${at}`}`;
  return `when it was run it said that it is ${said}, and Airflow ${tagged}, as its tag calls it, needs ${head}`;
}

/** True when the image itself or its maker says what it is: enough to go on by. */
export function isCertain(known: ImageKnowledge | ImageUnknown | undefined): known is ImageKnowledge {
  return known !== undefined && known.source !== 'unknown' && known.source !== 'annotation';
}

function why(registry: RegistryAnswer): string {
  const name = 'its name does not tell the Airflow version';
  return registry && 'unknown' in registry ? `${name}, and ${registry.unknown}` : name;
}

function unknown(image: string, why: string): ImageUnknown {
  return { image, source: 'unknown', why };
}

/** An image in a sentence, without its registry: `image airflow:3.1.8`. */
export function tagOf(image: string): string {
  return `image ${image.slice(image.lastIndexOf('/') + 1)}`;
}
