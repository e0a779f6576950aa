/**
 * How often an AWS client tries and how long it waits, ms. `requestTimeout` covers only the time until the
 * headers arrive, and only logs a warning without `throwOnRequestTimeout`; `socketTimeout` cuts a body that
 * stalls.
 */
export const clientLimits = {
  maxAttempts: 2,
  requestHandler: {
    connectionTimeout: 2_000,
    requestTimeout: 5_000,
    socketTimeout: 5_000,
    throwOnRequestTimeout: true,
  },
} as const
