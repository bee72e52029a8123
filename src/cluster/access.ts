/** Who we are and what we may, asked of the API server. */
import type { Client } from './client.ts';
import { everywhere } from './paths.ts';

export interface Right {
  verb: string;
  group: string;
  resource: string;
  subresource?: string;
  /** Missing: in the whole cluster. */
  namespace?: string;
}

/** Of these rights, the ones we don't have. Throws ApiError when it can't be told. */
export async function mayI(client: Client, rights: Right[]): Promise<Right[]> {
  const answers = await Promise.all(rights.map((right) => allowed(client, right)));
  return rights.filter((_, at) => !answers[at]);
}

/** The name under which the API server knows us. Throws ApiError when it can't be told. */
export async function whoAmI(client: Client): Promise<string> {
  const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' };
  const { status } = await client.request<{ status?: { userInfo?: { username?: string } } }>(
    'POST',
    everywhere.selfReviews,
    { body },
  );
  return status?.userInfo?.username ?? '';
}

async function allowed(client: Client, resourceAttributes: Right): Promise<boolean> {
  const body = { apiVersion: 'authorization.k8s.io/v1', kind: 'SelfSubjectAccessReview', spec: { resourceAttributes } };
  const { status } = await client.request<{ status?: { allowed?: boolean } }>('POST', everywhere.accessReviews, {
    body,
  });
  return status?.allowed === true;
}
