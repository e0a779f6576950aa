import { rows } from '../http/rows.ts'
import { functions, isBackground } from './functions.ts'

/**
 * The queries that are saved in CloudWatch Logs Insights, by the question that each answers: about an attack, and about
 * everyday operation. `functions/deploy/README.md` says which one to run when.
 *
 * The log of the gateway has a line for each request. The logs of functions have our lines as `message`: `message.status`,
 * `message.route` and so on (`functions/http/log.ts`).
 */
export interface SavedQuery {
  /** Unique; the part after the last slash is the question. */
  name: string
  /**
   * The logs that it searches: that of the gateway, those of functions (CloudWatch takes 50), or `chosen`, where whoever
   * runs the query chooses log groups by their prefix.
   */
  logs: 'access' | 'chosen' | readonly string[]
  query: string
}

type Question = Omit<SavedQuery, 'name'>

const lines = (...commands: string[]) => commands.join('\n| ')
const named = (...fields: string[]) =>
  `fields ${fields.map((field) => `message.${field} as ${field}`).join(', ')}`
const topTen = (by: string, ...more: string[]) => [
  `stats ${['count(*) as requests', ...more].join(', ')} by ${by}`,
  'sort requests desc',
  'limit 10',
]

/** The answers that tell somebody who tries what from a customer. */
const REFUSED = 'filter message.status in [401, 402, 403, 429]'
const SUCCEEDED = 'filter message.status >= 200 and message.status < 300'

const namesOf = (of: typeof rows) => of.map(({ dialect, file }) => `${dialect}-${file}`)

/** Everybody can try passwords, codes, addresses or keys with these, so a source is all that tells senders apart. */
const open = rows.filter(
  ({ auth, dialect }) => (auth === 'public' || auth === 'key') && dialect !== 'webhooks',
)

/** The endpoints that make accounts. */
export const registrations = rows.filter(({ file }) => file === 'register' || file === 'create-user')

/** Requests for mails. */
const asking = open.filter(({ file }) =>
  ['request-password-reset', 'request-recovery', 'resend'].includes(file),
)

/** The functions of endpoints at which a card can be declined. */
export const takingCards = functions.filter(
  ({ kind, needs, table }) => kind === 'endpoint' && needs.includes('payments') && table === 'write',
)

const ofAttacks = {
  'Refusals by source': {
    logs: namesOf(open),
    query: lines(
      REFUSED,
      named('source', 'route'),
      ...topTen('source', 'count_distinct(route) as routes', 'min(@timestamp) as since'),
    ),
  },
  'Refusals by route': {
    logs: 'access',
    query: lines('filter status in [401, 402, 403, 429]', ...topTen('routeKey, status')),
  },
  'Errors by source': {
    logs: namesOf(open),
    query: lines(REFUSED, named('source', 'error'), ...topTen('source, error')),
  },
  'Registrations by source': {
    logs: namesOf(registrations),
    query: lines(SUCCEEDED, named('source'), ...topTen('source')),
  },
  'Requests for mails by source': {
    logs: namesOf(asking),
    query: lines(SUCCEEDED, named('source'), ...topTen('source')),
  },
  'Declined cards by account': {
    logs: takingCards.map(({ name }) => name),
    query: lines(
      'filter message.error = "card_declined"',
      named('accountId', 'source'),
      ...topTen('accountId', 'count_distinct(source) as sources'),
    ),
  },
  'Mails that wait': {
    logs: ['jobs-send-mail'],
    query: lines(
      'filter ispresent(message.oldestSeconds)',
      'stats max(message.oldestSeconds) as oldestSeconds, max(message.left) as leftAtOnce by bin(5m)',
    ),
  },
} satisfies Record<string, Question>

export type AttackQuestion = keyof typeof ofAttacks

const NEWEST = ['sort @timestamp desc', 'limit 200']
const jobLogs = functions.filter(isBackground).map(({ name }) => name)

const ofOperation: Record<string, Question> = {
  'Errors by route': {
    logs: 'access',
    query: lines('filter status >= 500', ...topTen('routeKey, status', 'max(at) as lastAtMs')),
  },
  'Slowest routes': {
    logs: 'access',
    query: lines(
      'stats count(*) as requests, pct(ms, 50) as p50, pct(ms, 99) as p99, max(ms) as slowest by routeKey',
      'sort p99 desc',
      'limit 20',
    ),
  },
  'One request': {
    logs: 'chosen',
    query: lines(
      'filter message.requestId = "REQUEST-ID" or requestId = "REQUEST-ID"',
      'sort @timestamp',
      'limit 50',
    ),
  },
  'One account': {
    logs: 'chosen',
    query: lines(
      'filter message.accountId = "ACCOUNT-ID"',
      named('level', 'route', 'job', 'status', 'error', 'what', 'requestId'),
      ...NEWEST,
    ),
  },
  'Failures by what failed': {
    logs: 'chosen',
    query: lines(
      'filter message.level in ["warn", "error", "fatal", "alarm"]',
      named('level', 'route', 'job', 'what', 'error', 'cause', 'alarm'),
      'stats count(*) as lines, max(@timestamp) as last by level, route, job, what, error, cause, alarm',
      'sort lines desc',
      'limit 50',
    ),
  },
  'Runs of jobs': {
    logs: jobLogs,
    query: lines(
      'filter ispresent(message.job) and message.level = "info"',
      named('job', 'ms'),
      'stats count(*) as runs, max(@timestamp) as last, pct(ms, 50) as p50, max(ms) as slowest by job',
      'sort last',
    ),
  },
  'Mails that failed': {
    logs: ['jobs-send-mail', 'jobs-note-mail-event'],
    query: lines(
      'filter message.level in ["warn", "error"] or message.failed > 0',
      named('job', 'level', 'what', 'cause', 'failed', 'accountId', 'template'),
      ...NEWEST,
    ),
  },
  'Events of Stripe that failed': {
    logs: ['webhooks-stripe', 'jobs-sweep'],
    query: lines(
      'filter message.status >= 400 or message.eventsFailed > 0 or message.level in ["error", "alarm"]',
      named('route', 'job', 'status', 'error', 'cause', 'what', 'eventsFailed', 'alarm'),
      ...NEWEST,
    ),
  },
}

/** Every saved query of a stage. @param prefix begins the names of the stage's resources. */
export const queriesOf = (prefix: string): SavedQuery[] =>
  Object.entries({ attack: ofAttacks, operation: ofOperation }).flatMap(([folder, questions]) =>
    Object.entries<Question>(questions).map(([question, query]) => ({
      name: `${prefix}/${folder}/${question}`,
      ...query,
    })),
  )
