/**
 * Cross-origin rules as data; the gateway applies them, no function does. Origins are an allow-list of the
 * deployment, empty unless it names some: a wildcard or a reflected origin never occurs.
 */
export const cors = {
  methods: ['GET', 'POST', 'PUT', 'DELETE'],
  headers: ['authorization', 'content-type', 'idempotency-key'],
  exposeHeaders: ['link', 'retry-after'],
  maxAgeSeconds: 600,
} as const
