/** How long a customer may take for 3-D Secure before the verification or the purchase is abandoned. */
export const AUTHENTICATION_MS = 24 * 3_600_000

/** Poll interval for payments that wait for 3-D Secure, in case the webhook was lost. */
export const AUTHENTICATION_POLL_MS = 5 * 60_000
