import type { Need } from '../http/route.ts'

/** A function that runs on a schedule; its name in kebab-case is its file. */
export interface Job {
  summary: string
  /** EventBridge Scheduler's rate expression. */
  every: string
  /** The same rate for the local stack. */
  everyMs: number
  timeoutSeconds: number
  needs: readonly Need[]
}

const MINUTE_MS = 60_000

export const jobs = {
  sendMail: {
    summary: 'Send the mail that a crash or an outage left in the outbox',
    every: 'rate(1 minute)',
    everyMs: MINUTE_MS,
    timeoutSeconds: 60,
    needs: ['table', 'mail', 'keyring'],
  },
  sweep: {
    summary: 'Clear away registrations that never finished',
    every: 'rate(10 minutes)',
    everyMs: 10 * MINUTE_MS,
    timeoutSeconds: 60,
    needs: ['table', 'identity', 'keyring'],
  },
} as const satisfies Record<string, Job>
