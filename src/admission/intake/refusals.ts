/** What is said to a caller whose request is not even looked at. `statusCode` is what fastify answers. */

/** More than an AdmissionReview can have. */
export class TooLarge extends Error {
  override name = 'TooLarge';
  statusCode = 413;
}

/** There is no room now. API servers ask again after Retry-After, as long as the webhook's own time lasts. */
export class Busy extends Error {
  override name = 'Busy';
  statusCode = 503;

  constructor() {
    super('too much is being read at once; ask again in a second');
  }
}

/** The body did not arrive as a whole. Nobody is there to read it. */
export class Aborted extends Error {
  override name = 'Aborted';
  statusCode = 400;
}

/** The caller has not shown a certificate that we were told to ask for. */
export class Stranger extends Error {
  override name = 'Stranger';
  statusCode = 401;
}
