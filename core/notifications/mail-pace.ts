import { rateLimitOf } from '../errors.ts'
import type { Clock, Mail } from '../ports.ts'

/** How often a mail is tried that the provider refuses because mails come too fast. */
const TRIES = 8

/** SES counts mails by the second. */
const PAUSE_MS = 1_000

/**
 * The same provider for a run that sends several mails at once: after it has refused one because mails come too fast,
 * none is sent for a second. So a run needs not know how many mails the account may send, which is one a second for a
 * new one.
 */
export function pacedMail(mail: Mail, clock: Clock): Mail {
  let untilMs = 0
  return {
    ...mail,
    async send(email) {
      for (let tries = 1; ; tries++) {
        const pauseMs = untilMs - clock.nowMs()
        if (pauseMs > 0) await clock.wait(pauseMs)
        try {
          return await mail.send(email)
        } catch (error) {
          if (tries === TRIES || !rateLimitOf(error)) throw error
          untilMs = clock.nowMs() + PAUSE_MS
        }
      }
    },
  }
}
