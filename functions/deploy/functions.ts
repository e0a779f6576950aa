import { factsOf, type TableUse } from '../http/needs.ts'
import { consoleKey, gatewayKey, guardsOf, type Need, type Placed, PROOF_NEEDS } from '../http/route.ts'
import { rows } from '../http/rows.ts'
import { jobs, subscribers, tasks, type Work } from '../jobs/schedule.ts'
import { webhooks } from '../webhooks/routes.ts'

/** A function of the deployment as data, made from a row or a job. `sst.config.ts` creates its resources. */
export interface Deployed {
  /** Kebab-case and unique; the function's name on AWS ends in it. */
  name: string
  handler: string
  summary: string
  kind: 'endpoint' | 'job' | 'subscriber' | 'task' | 'authorizer' | 'trigger'
  /** What the function may do with the table, if `needs` has the table. */
  table: TableUse
  needs: readonly Need[]
  /** Whether somebody may send it a request that nobody has signed: all but the function that takes Stripe's events. */
  takesUnsigned?: boolean
  /** Whether only requests that bring a proof call the password vault, so that its client loads with the first. */
  lazyIdentity?: boolean
  timeoutSeconds: number
  memoryMb: number
  /** Reserved concurrency. Functions without it share the rest of the account's concurrency. */
  reserved?: number
}

/** A route key of API Gateway and the function behind it. */
export interface DeployedRoute {
  key: string
  /** Unique, PascalCase. */
  name: string
  function: string
  authorization: Authorization
}

/**
 * Who checks the caller of a route before its function runs: `token`, our authorizer for access tokens; `iam`, API
 * Gateway itself, by a signature of AWS credentials whose policy permits the path; `none`, nobody.
 */
export type Authorization = 'token' | 'iam' | 'none'

/**
 * An HTTP API times out after 30 s. Functions that call other services end just before, all others sooner.
 */
const SLOW_SECONDS = 29
const QUICK_SECONDS = 15

/** All ports of an endpoint: those of its handler, and those of the guard in front of it. */
const needsOf = ({ needs, proof }: Placed): readonly Need[] =>
  proof === 'recent' ? [...new Set([...needs, ...PROOF_NEEDS])] : needs

const ofRow = (row: Placed): Deployed => ({
  name: `${row.dialect}-${row.file}`,
  handler: `functions/${row.dialect}/${row.file}.handler`,
  summary: row.summary,
  kind: 'endpoint',
  table: tableUse(row),
  needs: needsOf(row),
  takesUnsigned: row.raw !== true,
  lazyIdentity: !row.needs.includes('identity'),
  timeoutSeconds: needsOf(row).some((need) => factsOf(need).callsOut) ? SLOW_SECONDS : QUICK_SECONDS,
  memoryMb: 1024,
  // Stripe sends refused events again, so 20 suffice even for a flood of events. This also bounds the calls to
  // Stripe: one at a time for each event, which waits when Stripe refuses a call.
  ...(row.dialect === 'webhooks' && { reserved: 20 }),
})

/**
 * GET requests never write, unless they cache something, and an application key gives access to its account's counter
 * only.
 */
function tableUse(row: Placed): TableUse {
  if (row.auth === 'key') return 'spend'
  const reads = row.routes.every((key) => key.startsWith('GET ')) && !row.caches
  return reads ? 'read' : 'write'
}

/** A job's next run waits until a late run has ended: two concurrent runs would only do the same work. */
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
  detailTypes: subscriber.detailTypes,
  from: subscriber.from,
}))

const deployedTasks = Object.values(tasks).map((task) => ({
  ...background(task),
  kind: 'task' as const,
  table: 'write' as const,
  reserved: task.atOnce,
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

/** Cognito waits at most 5 seconds for its trigger. */
export const preToken: Deployed = {
  name: 'pre-token',
  handler: 'functions/pre-token.handler',
  summary: 'Removes the scope with which an access token could call Cognito directly',
  kind: 'trigger',
  table: 'read',
  needs: [],
  timeoutSeconds: 5,
  memoryMb: 256,
}

export const customAuth: Deployed = {
  name: 'custom-auth',
  handler: 'functions/custom-auth.handler',
  summary: 'Gives tokens to people whom Bursar has verified without a password',
  kind: 'trigger',
  table: 'read',
  needs: ['keyring'],
  timeoutSeconds: 5,
  memoryMb: 256,
}

export const scheduled = deployedJobs
export const subscribed = deployedSubscribers
export const started = deployedTasks

/** The function that consumes start. */
export const renewalFunction = background(tasks.renew).name

/** Whether nobody waits for a function's result. */
export const isBackground = ({ kind }: Deployed): boolean =>
  kind === 'job' || kind === 'subscriber' || kind === 'task'

/** Whether AWS retries a function's failed runs and keeps those that fail again. The next run of a job makes up for them. */
export const leavesDeadLetters = ({ kind }: Deployed): boolean => kind === 'subscriber' || kind === 'task'

/** All functions of a deployment. */
export const functions: readonly Deployed[] = [
  ...rows.map(ofRow),
  ...deployedJobs,
  ...deployedSubscribers,
  ...deployedTasks,
  authorizer,
  preToken,
  customAuth,
]

const METHODS = { GET: 'Get', POST: 'Post', PUT: 'Put', DELETE: 'Delete' }

/** A route of a row: its key for API Gateway, and who checks its caller. */
export interface RowRoute {
  key: string
  authorization: Authorization
}

const AUTHORIZATION = {
  account: 'token',
  operator: 'iam',
  public: 'none',
  key: 'none',
  'admin-key': 'none',
} as const

/** The routes of a row: for operators there are those of the console, too. */
export const routesOf = (row: Placed): RowRoute[] => {
  const routes = row.routes.map((key) => ({ key: gatewayKey(key), authorization: AUTHORIZATION[row.auth] }))
  const console = row.routes.map((key) => ({ key: consoleKey(key), authorization: 'token' as const }))
  return row.auth === 'operator' ? [...routes, ...console] : routes
}

export const routes: readonly DeployedRoute[] = rows.flatMap((row) =>
  routesOf(row).map((route, at) => ({
    ...route,
    name: pascal(`${row.dialect}-${row.file}`) + (at === 0 ? '' : METHODS[methodOf(route.key)] + at),
    function: `${row.dialect}-${row.file}`,
  })),
)

function methodOf(key: string) {
  return key.slice(0, key.indexOf(' ')) as keyof typeof METHODS
}

/** Turns `v1-get-user` into `V1GetUser`, for names that may have only letters and digits. */
export function pascal(name: string): string {
  return name.replace(/(?:^|-)(\w)/g, (_, letter: string) => letter.toUpperCase())
}

/**
 * The name of something whose names AWS keeps once for all regions of an account: without the region, a second copy of a
 * stage elsewhere would find it taken, or take it over.
 */
export const globalName = (prefix: string, region: string): string => `${prefix}-${region}`

/** The log group of a function. @param prefix begins the names of the stage's resources. */
export const logGroupOf = (prefix: string, name: string): string => `/aws/lambda/${prefix}-${name}`

/**
 * Limits for all callers together: `throttle` for the whole stage, `tightThrottle` for each of `tightRoutes`. They bound
 * what a flood costs. They lie far above what the limits of each source let in, which keep strangers from each other.
 */
export const throttle = { ratePerSecond: 2_000, burst: 1_000 }
export const tightThrottle = { ratePerSecond: 500, burst: 500 }
/** A stage that stands by answers 429 to everything. */
export const standbyThrottle = { ratePerSecond: 0, burst: 0 }

/** Routes whose requests cost something, or let their sender try something. */
export const tightRoutes: readonly string[] = rows
  .filter((row) => guardsOf(row).length > 0)
  .flatMap((row) => routesOf(row).map(({ key }) => key))

/** Failures of these routes have an alarm of their own, because Stripe reports here that money moved. */
export const webhookRoutes: readonly string[] = Object.values<Placed>(webhooks).flatMap((row) =>
  row.routes.map(gatewayKey),
)

/** What a function can ask AWS for, as words with spaces between. `permissions.ts` grants this and nothing else. */
export interface Calls {
  /** Methods of ports; a write of a transaction counts as the method of the table that is called like it. */
  methods: string
  /** Partitions of the table that the function only reads, as patterns of IAM. */
  reads: string
  /** Partitions that it may write, and read. */
  writes: string
  /** What it does with the root secret, for which it gets a key each. */
  purposes: string
}
