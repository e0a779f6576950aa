import { api } from '../api/routes.ts'
import { factsOf, type TableUse } from '../http/needs.ts'
import { gatewayKey, type Need, type Placed } from '../http/route.ts'
import { rows } from '../http/rows.ts'
import { jobs, subscribers, type Work } from '../jobs/schedule.ts'
import { rest } from '../rest/routes.ts'
import { v1 } from '../v1/routes.ts'
import { webhooks } from '../webhooks/routes.ts'

/** A function to deploy, derived from a row or a job. `sst.config.ts` turns it into resources. */
export interface Deployed {
  /** Kebab-case and unique; the function's name on AWS ends in it. */
  name: string
  handler: string
  summary: string
  kind: 'endpoint' | 'job' | 'subscriber' | 'authorizer' | 'trigger'
  /** How it may use the table, if it needs the table. */
  table: TableUse
  needs: readonly Need[]
  timeoutSeconds: number
  memoryMb: number
  /** Reserved concurrency. Functions without it share the rest of the account's concurrency. */
  reserved?: number
}

/** A key of API Gateway and the function behind it. */
export interface DeployedRoute {
  key: string
  /** Unique, PascalCase. */
  name: string
  function: string
  authorized: boolean
}

/** An HTTP API gives up after 30 s: functions that call other services end just before, all others sooner. */
const SLOW_SECONDS = 29
const QUICK_SECONDS = 15

const ofRow = (row: Placed): Deployed => ({
  name: `${row.dialect}-${row.file}`,
  handler: `functions/${row.dialect}/${row.file}.handler`,
  summary: row.summary,
  kind: 'endpoint',
  table: tableUse(row),
  needs: row.needs,
  timeoutSeconds: row.needs.some((need) => factsOf(need).callsOut) ? SLOW_SECONDS : QUICK_SECONDS,
  memoryMb: 1024,
  // Stripe sends again what was not taken, so that a flood of events needs no more than this.
  ...(row.dialect === 'webhooks' && { reserved: 20 }),
})

/** A GET of an account never writes, and an application key only spends from its account's counter. */
function tableUse(row: Placed): TableUse {
  if (row.auth === 'key') return 'spend'
  return row.auth === 'account' && row.routes.every((key) => key.startsWith('GET ')) ? 'read' : 'write'
}

/** A late run waits for the previous one, since two concurrent runs would do the same work. */
const JOBS_AT_ONCE = 1

const deployedJobs = Object.values(jobs).map((job) => ({
  ...background(job),
  kind: 'job' as const,
  table: 'work' as const,
  every: job.every,
  reserved: JOBS_AT_ONCE,
}))

const deployedSubscribers = Object.values(subscribers).map((subscriber) => ({
  ...background(subscriber),
  kind: 'subscriber' as const,
  table: 'write' as const,
  detailType: subscriber.detailType,
}))

function background({ file, summary, needs, timeoutSeconds }: Work) {
  return {
    name: `jobs-${file}`,
    handler: `functions/jobs/${file}.handler`,
    summary,
    needs,
    timeoutSeconds,
    memoryMb: 1024,
  }
}

export const authorizer: Deployed = {
  name: 'authorizer',
  handler: 'functions/authorizer.handler',
  summary: 'Checks access tokens for the gateway',
  kind: 'authorizer',
  table: 'read',
  needs: [],
  timeoutSeconds: 10,
  memoryMb: 1024,
}

/** Cognito waits 5 seconds for it. */
export const preToken: Deployed = {
  name: 'pre-token',
  handler: 'functions/pre-token.handler',
  summary: 'Removes the scope from access tokens that would open Cognito itself',
  kind: 'trigger',
  table: 'read',
  needs: [],
  timeoutSeconds: 5,
  memoryMb: 256,
}

export const scheduled = deployedJobs
export const subscribed = deployedSubscribers

/** Every function there is. */
export const functions: readonly Deployed[] = [
  ...rows.map(ofRow),
  ...deployedJobs,
  ...deployedSubscribers,
  authorizer,
  preToken,
]

const METHODS = { GET: 'Get', POST: 'Post', PUT: 'Put', DELETE: 'Delete' }

export const routes: readonly DeployedRoute[] = rows.flatMap((row) =>
  row.routes.map((key, at) => ({
    key: gatewayKey(key),
    name: pascal(`${row.dialect}-${row.file}`) + (at === 0 ? '' : METHODS[methodOf(key)] + at),
    function: `${row.dialect}-${row.file}`,
    authorized: row.auth === 'account',
  })),
)

function methodOf(key: string) {
  return key.slice(0, key.indexOf(' ')) as keyof typeof METHODS
}

/** `v1-get-user` is `V1GetUser` where only letters and digits are allowed. */
export function pascal(name: string): string {
  return name.replace(/(?:^|-)(\w)/g, (_, letter: string) => letter.toUpperCase())
}

/** Where a function writes its log; `prefix` is the stage's. */
export const logGroupOf = (prefix: string, name: string): string => `/aws/lambda/${prefix}-${name}`

/**
 * Requests per second and concurrent ones, over all callers: for a stage, and for routes where guessing is possible
 * or money is spent.
 */
export const throttle = { ratePerSecond: 2_000, burst: 1_000 }
export const tightThrottle = { ratePerSecond: 25, burst: 50 }

/** Endpoints where somebody could guess passwords or codes, or create mails or accounts in bulk. */
const guessable: readonly Placed[] = [
  v1.login,
  v1.activate,
  v1.resend,
  v1.requestPasswordReset,
  v1.resetPassword,
  api.restore,
  rest.createUser,
]
const guarded = rows.filter((row) => guessable.includes(row) || row.errors.includes('too_many_cards_tried'))
export const tightRoutes: readonly string[] = guarded.flatMap((row) => row.routes.map(gatewayKey))

/** Failures of these routes have their own alarm, because payments are learnt here. */
export const webhookRoutes: readonly string[] = Object.values<Placed>(webhooks).flatMap((row) =>
  row.routes.map(gatewayKey),
)
