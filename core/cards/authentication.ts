import { DAY_MS, MINUTE_MS } from '../time.ts'

/** How long a customer may take for 3-D Secure before the verification or the purchase is abandoned. */
export const AUTHENTICATION_MS = DAY_MS

/** Poll interval for payments that wait for 3-D Secure, in case the webhook was lost. */
export const AUTHENTICATION_POLL_MS = 5 * MINUTE_MS
