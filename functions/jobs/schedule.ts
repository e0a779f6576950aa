import type { Need } from '../http/route.ts'

/** A function that an event of EventBridge starts; its name in kebab-case is its file. */
export interface Subscriber {
  summary: string
  /** The event's `detail-type`. */
  detailType: string
  timeoutSeconds: number
  needs: readonly Need[]
}

/** A function that runs on a schedule; its name in kebab-case is its file. */
export interface Job {
  summary: string
  /** EventBridge Scheduler's rate expression. */
  every: string
  /** The rate on the local stack, where nobody likes to wait. */
  everyMs: number
  timeoutSeconds: number
  needs: readonly Need[]
}

const MINUTE_MS = 60_000

export const jobs = {
  sendMail: {
    summary: 'Send the mail that was asked for, and what a crash or an outage left in the outbox',
    every: 'rate(1 minute)',
    everyMs: 1_000,
    timeoutSeconds: 60,
    needs: ['table', 'mail', 'keyring'],
  },
  checkQuotas: {
    summary: 'Renew bundles below 1 %, give notice below 10 %',
    every: 'rate(1 minute)',
    everyMs: 2_000,
    timeoutSeconds: 300,
    needs: ['table', 'payments', 'webhooks'],
  },
  settlePayments: {
    summary: 'Settle purchases that are open, unknown, or credited and not finished',
    every: 'rate(1 minute)',
    everyMs: 5_000,
    timeoutSeconds: 120,
    needs: ['table', 'payments', 'webhooks'],
  },
  sweep: {
    summary:
      'Finish what requests left behind: registrations, holds, card removals; tell of cards that expire; catch up on events that never came; compare payments with the ledger',
    every: 'rate(10 minutes)',
    everyMs: 10 * MINUTE_MS,
    timeoutSeconds: 60,
    needs: ['table', 'identity', 'keyring', 'payments', 'webhooks'],
  },
} as const satisfies Record<string, Job>

export const subscribers = {
  addNotice: {
    summary: 'Add a notice that another system sends to a user',
    detailType: 'bursar.notice',
    timeoutSeconds: 30,
    needs: ['table'],
  },
} as const satisfies Record<string, Subscriber>
