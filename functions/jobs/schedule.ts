import { fileOf, type Need } from '../http/route.ts'

/** What jobs, subscribers and tasks have in common. */
export interface Work {
  /** `functions/jobs/<file>.ts`: the name in kebab-case. */
  file: string
  summary: string
  timeoutSeconds: number
  needs: readonly Need[]
}

/** A function that an event of EventBridge starts. */
export interface Subscriber extends Work {
  /** The `detail-type` of its events, one of these. */
  detailTypes: readonly [string, ...string[]]
  /**
   * Who sends them: other systems, on the bus of the stage; SES, about mails of the stage, on the default bus of the
   * account, to which nobody else can send events of SES; or the archive of the stage's bus, when an operator replays our own
   * events after a restore: EventBridge marks those, and nobody else can.
   */
  from: 'other-systems' | 'ses' | 'archive'
}

/** A function that runs on a schedule. */
export interface Job extends Work {
  /** EventBridge Scheduler's rate expression. */
  every: string
  /** The shorter interval on the local stack, where a person waits for the result. */
  everyMs: number
}

/** A function that another function of ours starts to have work done at once. */
export interface Task extends Work {
  /** How many runs may be under way at once. Lambda lets further ones wait. */
  atOnce: number
}

/** Gives each job, subscriber or task its file. */
function place<const T extends Record<string, object>>(works: T) {
  const placed = Object.entries(works).map(([name, work]) => [name, { ...work, file: fileOf(name) }])
  return Object.fromEntries(placed) as { readonly [K in keyof T]: T[K] & { file: string } }
}

const MINUTE_MS = 60_000

export const jobs = place({
  sendMail: {
    summary:
      'Announces open recoveries; sends the mails that were requested, and those that a crash or an outage left in the outbox',
    every: 'rate(1 minute)',
    everyMs: 1_000,
    timeoutSeconds: 60,
    needs: ['table', 'mail', 'keyring'],
  },
  checkQuotas: {
    summary:
      'Renews bundles that run low, and sends notices below 10 % and below the thresholds that owners chose',
    every: 'rate(1 minute)',
    everyMs: 2_000,
    timeoutSeconds: 300,
    needs: ['table', 'payments', 'paymentScope'],
  },
  tellAlerts: {
    summary: 'Tells owners and other systems of quota alerts that were crossed',
    every: 'rate(1 minute)',
    everyMs: 2_000,
    timeoutSeconds: 60,
    needs: ['table', 'events'],
  },
  publishEvents: {
    summary: 'Numbers the events of each account and puts them on the bus',
    every: 'rate(1 minute)',
    everyMs: 2_000,
    timeoutSeconds: 60,
    needs: ['table', 'events'],
  },
  deliverEvents: {
    summary: 'Sends events to the HTTPS endpoints of operators, and again until they arrive',
    every: 'rate(1 minute)',
    everyMs: 2_000,
    timeoutSeconds: 60,
    needs: ['table', 'keyring', 'hooks'],
  },
  expireReservations: {
    summary: 'Returns the units of reservations that have expired',
    every: 'rate(1 minute)',
    everyMs: 2_000,
    timeoutSeconds: 60,
    needs: ['table'],
  },
  expireLots: {
    summary: 'Expires units whose time is over, and tells owners some days before',
    every: 'rate(1 minute)',
    everyMs: 2_000,
    timeoutSeconds: 60,
    needs: ['table'],
  },
  countUse: {
    summary: 'Counts in the totals what accounts have used on days that have ended',
    every: 'rate(15 minutes)',
    everyMs: 15 * MINUTE_MS,
    timeoutSeconds: 60,
    needs: ['table'],
  },
  grantMonthly: {
    summary: 'Gives the units that plans give their holders each month',
    every: 'rate(1 minute)',
    everyMs: 2_000,
    timeoutSeconds: 60,
    needs: ['table'],
  },
  settlePayments: {
    summary: 'Settles purchases and refunds that are open, have an unknown outcome, or are not finished',
    every: 'rate(1 minute)',
    everyMs: 5_000,
    timeoutSeconds: 120,
    needs: ['table', 'payments', 'paymentScope'],
  },
  reseal: {
    summary:
      'While the root secret rotates, seals with the one in use what the other one has sealed, and says when that may go',
    every: 'rate(15 minutes)',
    everyMs: 15 * MINUTE_MS,
    timeoutSeconds: 300,
    needs: ['table', 'listing', 'keyring'],
  },
  sweep: {
    summary:
      'Finishes abandoned registrations, holds and card removals; erases deleted accounts after 30 days; announces cards that expire; tells Stripe of changed names and e-mail addresses; processes webhooks that were missed; reconciles payments, refunds and disputes with the ledger',
    every: 'rate(10 minutes)',
    everyMs: 10 * MINUTE_MS,
    timeoutSeconds: 60,
    needs: ['table', 'identity', 'keyring', 'payments', 'paymentScope'],
  },
}) satisfies Record<string, Job>

export const subscribers = place({
  addNotice: {
    summary: 'Adds a notice that another system sends to a user',
    detailTypes: ['bursar.notice'],
    from: 'other-systems',
    timeoutSeconds: 30,
    needs: ['table'],
  },
  noteMailEvent: {
    summary: 'Marks an e-mail address whose mail came back or was reported as spam, so that it gets no more',
    detailTypes: ['Email Bounced', 'Email Complaint Received', 'Email Rejected'],
    from: 'ses',
    timeoutSeconds: 30,
    needs: ['table'],
  },
  reapply: {
    summary: 'After a restore: revokes again what was revoked since the backup, by replayed events',
    detailTypes: [
      'account.suspended',
      'account.resumed',
      'account.deactivated',
      'account.closing',
      'account.restored',
      'account.erased',
      'account.email_changed',
      'account.access_changed',
      'key.revoked',
      'key.rotated',
      'key.changed',
      'deployment.revoked',
    ],
    from: 'archive',
    timeoutSeconds: 60,
    needs: ['table', 'identity', 'keyring', 'payments', 'paymentScope'],
  },
}) satisfies Record<string, Subscriber>

export const tasks = place({
  renew: {
    summary: 'Renews the bundle of one account at once; check-quotas renews what it could not',
    timeoutSeconds: 60,
    atOnce: 20,
    needs: ['table', 'payments', 'paymentScope'],
  },
}) satisfies Record<string, Task>
