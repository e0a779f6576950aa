/**
 * Cross-origin rules as data. The gateway applies them, not the functions. The allowed origins are a setting
 * of the deployment, empty by default. A wildcard or a reflected origin never occurs; the local stack alone allows every
 * origin of its own machine. Nor are credentials ever allowed: no cookie goes along with a request of another origin.
 */
export const cors = {
  methods: ['GET', 'POST', 'PUT', 'DELETE'],
  headers: [
    'authorization',
    'content-type',
    'idempotency-key',
    'x-proof-password',
    'x-proof-code',
    'x-challenge-response',
  ],
  exposeHeaders: [
    'idempotent-replayed',
    'link',
    'ratelimit',
    'ratelimit-policy',
    'retry-after',
    'www-authenticate',
  ],
  maxAgeSeconds: 600,
} as const
