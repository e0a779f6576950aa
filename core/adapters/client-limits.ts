/**
 * How long an AWS client waits before it says that it does not know. The request's time-out ends with the
 * headers, and only warns unless told to throw; a body that stalls is cut by the socket's.
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
