import { randomUUID } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { cors } from '../../functions/http/cors.ts'
import { jobs, subscribers, tasks } from '../../functions/jobs/schedule.ts'
import { STRIPE_JS } from '../../functions/pages/site.ts'
import { type LocalClock, startClock } from './clock.ts'
import { ControlError, type Controls, serveControls } from './controls.ts'
import { requireFormat } from './data-format.ts'
import { REGION } from './event.ts'
import type { FaultControls } from './faults.ts'
import { startGateway } from './gateway.ts'
import { listen, type RequestHandler } from './http.ts'
import { localOperators } from './iam.ts'
import { startLambda } from './lambda.ts'
import type { Invocation } from './lambda-api.ts'
import { lockFolder } from './lock.ts'
import { isLoopback, refusalPrinter } from './loopback.ts'
import type { MailEvent } from './mail-events.ts'
import { STRIPE_DOUBLE_JS, servePages } from './pages.ts'
import { pagesUrl } from './pages-url.ts'
import { copyTable, type Stack, startStack } from './stack.ts'
import type { StripeDouble } from './stripe.ts'
import { studioControls } from './studio.ts'

export interface ServerOptions {
  /** 0 picks a free port. */
  port: number
  /** The folder for data. Without a folder everything is in memory. */
  dataFolder?: string | undefined
  /** The frontend, if not the made-up one. */
  appUrl?: string | undefined
  /** Whether jobs run at their rates. */
  schedule: boolean
  /** Whether changed sources are reloaded. */
  reload: boolean
  /** Whether the functions' log lines are hidden. */
  quiet?: boolean
  /** Settings of the functions besides the stack's own. */
  env?: Record<string, string>
  onStep?(step: string): void
}

export interface Server {
  url: string
  /** What the functions have as their environment. */
  env: Record<string, string>
  close(): Promise<void>
}

/** The origin of a frontend in development (Vite's port). */
const FRONTEND = 'http://localhost:5173'

/** Starts all of Bursar on this machine: doubles, gateway, functions, schedule. */
export async function startServer(options: ServerOptions): Promise<Server> {
  const { port, dataFolder, onStep = () => {} } = options
  /** The parts to close, in reverse order, when the server stops or fails to start. */
  const parts: { close(): unknown }[] = []
  const close = async () => {
    for (let part = parts.pop(); part; part = parts.pop()) await part.close()
  }
  try {
    let handle: RequestHandler = (_, response) => {
      response.writeHead(503).end('Bursar is starting.')
    }
    const listener = await listen((request, response) => handle(request, response), port)
    parts.push(listener)
    if (dataFolder !== undefined) {
      mkdirSync(dataFolder, { recursive: true })
      parts.push(lockFolder(dataFolder))
      requireFormat(dataFolder, join(dataFolder, 'table.db'))
    }
    const operators = localOperators()
    const clock = startClock(dataFolder && join(dataFolder, 'clock.json'))
    // Invocations run at once, like the schedule; without a schedule they wait for POST /_local/jobs/renew.
    const onInvoke = ({ event }: Invocation) => void runJob(tasks.renew.file, event).catch(() => {})
    const onMailEvent = (event: MailEvent) =>
      void runJob(subscribers.noteMailEvent.file, event).catch(() => {})
    const stack = await startStack({
      onMailEvent,
      nowMs: clock.nowMs,
      dataFolder,
      appUrl: options.appUrl ?? pagesUrl(listener.url),
      onStep,
      apiUrl: () => listener.url,
      ...(options.schedule && { onInvoke }),
    })
    parts.push(stack)
    onStep('functions   (TypeScript from core/ and functions/, reloaded when it changes)')
    const deploy = (env: Record<string, string> = {}) =>
      startLambda({
        env: { ...stack.env, TZ: 'UTC', ...options.env, ...env },
        clock: clock.shared,
        quiet: options.quiet === true,
        ...(options.reload && { onReload: (changed) => gateway.setRoutes(changed) }),
      })
    let lambda = deploy()
    parts.push({ close: () => lambda.close() })
    /** Deploys the functions with another table, and without the sessions from before. */
    const useTable = async (TABLE_NAME: string) => {
      const before = lambda
      lambda = deploy({ TABLE_NAME, SESSIONS_SINCE: new Date(clock.nowMs()).toISOString() })
      await before.close()
    }
    const runJob: RunJob = (name, event = {}) => lambda.invoke(`functions/jobs/${name}.ts`, event)
    const gateway = await startGateway({
      listen: async (handler) => {
        handle = handler
        return listener
      },
      routes: await lambda.routes(),
      invoke: (file, event) => lambda.invoke(file, event),
      authorize: (event) => lambda.invoke('functions/authorizer.ts', event),
      authorizerCacheSeconds: 300,
      principals: Object.values(operators),
      cors: {
        ...cors,
        origins: [new URL(options.appUrl ?? FRONTEND).origin],
        allows: isLoopback,
        onRefused: refusalPrinter(console.log),
      },
      nowMs: clock.nowMs,
      local: serveControls({
        ...controls(stack, clock, runJob, () => listener.url, operators),
        ...restoreControls(stack, runJob, useTable),
      }),
      pages: servePages({
        stripeJs: stack.stripe ? STRIPE_DOUBLE_JS : STRIPE_JS,
        challengeJs: stack.challenge && `${stack.challenge.url}/turnstile/v0/api.js`,
        rebuilds: options.reload,
      }),
    })
    // It stops first, as it was complete last.
    parts.push(gateway)
    if (options.schedule) parts.push(startSchedule(runJob))
    return { url: gateway.url, env: stack.env, close }
  } catch (error) {
    await close()
    throw error
  }
}

type RunJob = (name: string, event?: unknown) => Promise<unknown>

/** Runs each job at its rate. A failed run has logged its error, and the next run comes as usual. */
function startSchedule(runJob: RunJob): { close(): void } {
  const timers = jobFiles().map(([name, { everyMs }]) =>
    setInterval(() => runJob(name).catch(() => {}), everyMs),
  )
  return { close: () => timers.forEach(clearInterval) }
}

const jobFiles = () => Object.values(jobs).map((job) => [job.file, job] as const)

/** Turns an error of a part into a 400 for the caller of a control. */
function orRefusal(action: () => void): void {
  try {
    action()
  } catch (error) {
    throw new ControlError((error as Error).message)
  }
}

/** A ConfirmationToken of a card, which Stripe.js makes in a browser. @throws ControlError with Stripe's message */
async function newConfirmationToken(url: string, card: Record<string, unknown>): Promise<unknown> {
  const post = async (path: string, form: Record<string, string>) => {
    const answer = await fetch(url + path, {
      method: 'POST',
      headers: { authorization: 'Bearer sk_test_Local0001' },
      body: new URLSearchParams(form),
    })
    const body = (await answer.json()) as { id: string; error?: { message: string } }
    if (body.error) throw new ControlError(body.error.message)
    return body
  }
  const form = Object.fromEntries(
    Object.entries(card).map(([name, value]) => [`card[${name}]`, String(value)]),
  )
  const { id } = await post('/v1/payment_methods', { type: 'card', ...form })
  return post('/v1/test_helpers/confirmation_tokens', { payment_method: id })
}

/** A backup of the table, a deployment that uses it, and a replay of the events since, as AWS would do them. */
function restoreControls(stack: Stack, runJob: RunJob, useTable: (name: string) => Promise<void>): Controls {
  const copyName = `${stack.tableName}-restored`
  return {
    'POST /_local/restore/backup': () => copyTable(stack, copyName),
    'POST /_local/restore': () => useTable(copyName),
    'POST /_local/restore/replay': async ({ body }) => {
      const since = String(body.since)
      const replayed: Record<string, unknown> = {}
      // Newest first: EventBridge promises no order.
      for (const event of stack.events
        .events()
        .filter(({ time }) => time >= since)
        .reverse()) {
        const types: readonly string[] = subscribers.reapply.detailTypes
        if (!types.includes(event['detail-type'])) continue
        replayed[event.id] = await runJob(subscribers.reapply.file, { ...event, 'replay-name': 'drill' })
      }
      return replayed
    },
  }
}

/** The controls of one double's faults. */
const faultControls = (service: string, double: () => FaultControls<never>): Controls => ({
  [`POST /_local/${service}/faults`]: ({ body }) => orRefusal(() => double().addFault(body as never)),
  [`DELETE /_local/${service}/faults`]: () => double().clearFaults(),
})

function controls(
  stack: Stack,
  clock: LocalClock,
  runJob: RunJob,
  api: () => string,
  operators: ReturnType<typeof localOperators>,
): Controls {
  const stripe = (): StripeDouble => {
    if (!stack.stripe)
      throw new ControlError("The stack talks to Stripe's test mode: there is no double to control")
    return stack.stripe
  }
  return {
    'GET /_local': () => ({
      api: api(),
      dynamodb: stack.dynamo.rawUrl,
      cognito: stack.cognito.url,
      stripe: stack.stripe?.url,
      table: stack.tableName,
      now: clock.nowMs(),
      webhookSecret: stack.stripe?.webhookSecret,
    }),
    'GET /_local/mail': ({ query }) =>
      stack.mail
        .messages(query.get('to') ?? undefined)
        .map(({ to, subject, text, sentAt }) => ({ to, subject, text, sentAt })),
    'GET /_local/mail/senders': ({ query }) => stack.mail.senders(query.get('to') ?? ''),
    'POST /_local/mail/events': ({ body }) => {
      let event: MailEvent | undefined
      orRefusal(() => {
        event = stack.mail.report(String(body.to), String(body.event))
      })
      return runJob(subscribers.noteMailEvent.file, event)
    },
    'DELETE /_local/mail/suppressed': () => stack.mail.clearSuppressed(),
    'POST /_local/clock': ({ body }) => {
      if (!Number.isSafeInteger(body.advanceMs)) {
        throw new ControlError('advanceMs must be a whole number of milliseconds')
      }
      orRefusal(() => clock.advance(Number(body.advanceMs)))
      return { now: clock.nowMs() }
    },
    'POST /_local/jobs/*': ({ name }) => {
      const names = jobFiles().map(([known]) => known)
      if (!names.includes(name))
        throw new ControlError(`There is no job ${name}. There are: ${names.join(', ')}`)
      return runJob(name)
    },
    [`POST /_local/jobs/${tasks.renew.file}`]: () =>
      Promise.all(stack.lambda.take().map(({ event }) => runJob(tasks.renew.file, event))),
    'GET /_local/operators': () =>
      Object.fromEntries(
        Object.entries(operators).map(([role, { accessKeyId, secretAccessKey }]) => [
          role,
          { accessKeyId, secretAccessKey, region: REGION, nowMs: clock.nowMs() },
        ]),
      ),
    'GET /_local/events': () => stack.events.events(),
    'POST /_local/events': ({ body }) => {
      const detailType = body['detail-type']
      const found = Object.values(subscribers).find(({ detailTypes }) =>
        detailTypes.some((known) => known === detailType),
      )
      if (!found) throw new ControlError(`Nobody listens to the detail-type ${String(detailType)}`)
      const event = {
        version: '0',
        id: randomUUID(),
        source: 'local',
        time: new Date(clock.nowMs()).toISOString(),
      }
      return runJob(found.file, { ...event, ...body })
    },
    ...studioControls(stack, clock),
    ...faultControls('dynamodb', () => stack.dynamo),
    ...faultControls('cognito', () => stack.cognito),
    ...faultControls('mail', () => stack.mail),
    ...faultControls('kms', () => stack.kms),
    ...faultControls('lambda', () => stack.lambda),
    ...faultControls('events', () => stack.events),
    ...faultControls('stripe', stripe),
    'POST /_local/stripe/confirmation-tokens': ({ body }) => newConfirmationToken(stripe().url, body),
    'POST /_local/stripe/limits': ({ body }) => orRefusal(() => stripe().limit(body as never)),
    'DELETE /_local/stripe/limits': () => stripe().limit(undefined),
    'POST /_local/stripe/authenticate': ({ body }) =>
      orRefusal(() => stripe().authenticate(body as { paymentIntent: string; outcome: 'succeed' | 'fail' })),
    'POST /_local/stripe/card': ({ body }) =>
      orRefusal(() => stripe().updateCard(body as { paymentMethod: string })),
    'POST /_local/stripe/dispute': ({ body }) =>
      orRefusal(() => stripe().dispute(body as { charge: string })),
    'POST /_local/stripe/warning': ({ body }) => orRefusal(() => stripe().warn(body as { charge: string })),
    'POST /_local/stripe/delete': ({ body }) =>
      orRefusal(() => stripe().deleteObjects(Array.isArray(body.ids) ? body.ids.map(String) : [])),
    'GET /_local/calls': () => ({
      dynamodb: stack.dynamo.counts(),
      cognito: { calls: stack.cognito.calls() },
      mail: { calls: stack.mail.calls() },
      kms: { calls: stack.kms.calls() },
      lambda: { calls: stack.lambda.calls() },
      events: { calls: stack.events.calls() },
      stripe: { calls: stack.stripe?.calls() ?? {} },
    }),
    'DELETE /_local/calls': () => {
      const { cognito, mail, kms, lambda, events, stripe } = stack
      for (const double of [cognito, mail, kms, lambda, events, stripe]) double?.resetCalls()
      stack.dynamo.resetCounts()
    },
  }
}
