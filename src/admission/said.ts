/**
 * What a caller is told. Anyone who reaches the port can send a review and gets a person's answer. So without certificates
 * of callers an answer tells images, versions and revisions, which a person needs, and no host, user, Secret or right;
 * those stand in our log and in the events of the workload, which need rights to read.
 */
import type { Ports } from './ports.ts';

/** The detail, or what is said in its place to whoever may be anyone. */
export function said(ports: Ports, detail: string, instead: string): string {
  if (ports.settings.callersKnown) return detail;
  ports.unsaid?.(detail);
  return instead;
}
