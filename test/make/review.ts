/** AdmissionReviews as the API server sends them. */
import type { PodObject, WorkloadObject } from '../../src/release/model/kubernetes.ts';

export interface ReviewShape {
  object?: WorkloadObject | PodObject | null;
  oldObject?: WorkloadObject | PodObject | null;
  operation?: 'CREATE' | 'UPDATE' | 'DELETE' | 'CONNECT';
  subResource?: string;
  dryRun?: boolean;
  username?: string;
  uid?: string;
}

/** The review of an update of `object` by jane; what it says of kind, name and namespace is taken from the objects. */
export function makeReview(shape: ReviewShape = {}) {
  const { object = null, oldObject = null, operation = 'UPDATE', username = 'jane', dryRun = false } = shape;
  const about = object ?? oldObject;
  const [group, version] = about?.apiVersion?.includes('/')
    ? about.apiVersion.split('/')
    : ['', about?.apiVersion ?? 'v1'];
  const kind = { group, version, kind: about?.kind ?? 'Deployment' };
  const resource = { group, version, resource: `${kind.kind.toLowerCase()}s` };
  return {
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    request: {
      uid: shape.uid ?? '705ab4f5-6393-11e8-b7cc-42010a800002',
      kind,
      resource,
      requestKind: kind,
      requestResource: resource,
      ...(shape.subResource ? { subResource: shape.subResource } : {}),
      name: about?.metadata.name ?? '',
      namespace: about?.metadata.namespace ?? 'air',
      operation,
      userInfo: { username, groups: ['system:authenticated'] },
      object,
      oldObject,
      dryRun,
      options: { apiVersion: 'meta.k8s.io/v1', kind: `${operation[0]}${operation.slice(1).toLowerCase()}Options` },
    },
  };
}
