import { DynamoDBClient, QueryCommand } from '@aws-sdk/client-dynamodb'
import { DUE_INDEX } from '../../core/table/definition.ts'
import { type DueKind, dueShards } from '../../core/table/keys.ts'
import { jobs } from '../../functions/jobs/schedule.ts'
import type { LocalClock } from './clock.ts'
import { ControlError, type Controls } from './controls.ts'
import { REGION } from './event.ts'
import type { FaultControls } from './faults.ts'
import type { Stack } from './stack.ts'

/** What the studio shows at most of each list, newest first. */
const SHOWN = 50

type Faulty = 'dynamo' | 'cognito' | 'mail' | 'stripe' | 'kms' | 'events'

/** Outages that one can switch on, by the sentence beside the switch. */
const SWITCHES: Readonly<Record<string, { of: Faulty; fault: object }>> = {
  'DynamoDB answers with errors': { of: 'dynamo', fault: { fault: 'error-before' } },
  'DynamoDB throttles': { of: 'dynamo', fault: { fault: 'throttle' } },
  'Cognito answers with errors': { of: 'cognito', fault: { fault: 'error-before' } },
  'SES refuses mail': { of: 'mail', fault: { fault: 'error-before' } },
  'KMS answers with errors': { of: 'kms', fault: { fault: 'error-before' } },
  'EventBridge answers with errors': { of: 'events', fault: { fault: 'error-before' } },
  'The bank declines every card': { of: 'stripe', fault: { fault: 'decline' } },
  'Stripe answers with errors': { of: 'stripe', fault: { fault: '500' } },
  'Stripe does the work and its answer is lost': {
    of: 'stripe',
    fault: { fault: 'lose-reply-after-commit' },
  },
  'Stripe takes two seconds': { of: 'stripe', fault: { fault: 'delay', delayMs: 2_000 } },
  'Stripe’s webhooks are lost': { of: 'stripe', fault: { fault: 'drop-webhooks' } },
}

/** Kinds of due items whose time has to come before something is renewed or charged again. */
const RENEWING: readonly DueKind[] = ['QUOTA', 'PURCHASE']

/** When the next renewal or retry is due, epoch ms; undefined if none is. */
async function nextRenewal({ dynamo, tableName }: Stack, nowMs: number): Promise<number | undefined> {
  const client = new DynamoDBClient({
    endpoint: dynamo.rawUrl,
    region: REGION,
    credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
  })
  const first = (due: string) =>
    client.send(
      new QueryCommand({
        TableName: tableName,
        IndexName: DUE_INDEX,
        KeyConditionExpression: 'due = :due AND dueAtMs > :now',
        ExpressionAttributeValues: { ':due': { S: due }, ':now': { N: String(nowMs) } },
        Limit: 1,
      }),
    )
  const found = await Promise.all(RENEWING.flatMap(dueShards).map(first))
  client.destroy()
  const times = found.flatMap(({ Items = [] }) => Items.map(({ dueAtMs }) => Number(dueAtMs?.N)))
  return times.length === 0 ? undefined : Math.min(...times)
}

const newest = <T>(items: readonly T[]): T[] => items.slice(-SHOWN).reverse()

/** The objects of Stripe's double that a person looks for. */
function stripeObjects({ stripe }: Stack) {
  if (!stripe) return undefined
  const { paymentIntents, customers, paymentMethods, refunds, disputes, deliveries } = stripe.state
  return {
    customers: Object.keys(customers).length,
    paymentMethods: Object.keys(paymentMethods).length,
    payments: newest(
      Object.values(paymentIntents).map(({ id, amount, currency, status, description }) => ({
        id,
        amount,
        currency,
        status,
        description,
      })),
    ),
    refunds: newest(Object.values(refunds).map(({ id, amount, status }) => ({ id, amount, status }))),
    disputes: newest(Object.values(disputes).map(({ id, amount, status }) => ({ id, amount, status }))),
    undelivered: deliveries.length,
  }
}

/** The controls that the studio adds: everything that it shows at once, switches, and the way to the next renewal. */
export function studioControls(stack: Stack, clock: LocalClock): Controls {
  const on = new Set<string>()
  const double = (of: Faulty): FaultControls<never> => {
    const found = stack[of]
    if (!found) throw new ControlError("The stack talks to Stripe's test mode: there is no double to control")
    return found
  }
  const apply = (of: Faulty) => {
    double(of).clearFaults()
    for (const name of on) if (SWITCHES[name]?.of === of) double(of).addFault(SWITCHES[name].fault as never)
  }
  return {
    'GET /_local/studio': () => ({
      now: clock.nowMs(),
      mails: newest(stack.mail.messages()).map(({ to, subject, text, sentAt }) => ({
        to,
        subject,
        text,
        sentAt,
      })),
      jobs: Object.values(jobs).map(({ file, summary }) => ({ name: file, summary })),
      switches: Object.keys(SWITCHES)
        .filter((name) => stack.stripe || SWITCHES[name]?.of !== 'stripe')
        .map((name) => ({ name, on: on.has(name) })),
      stripe: stripeObjects(stack),
      events: newest(stack.events.events()),
      counts: stack.dynamo.counts(),
      calls: {
        Cognito: stack.cognito.calls(),
        SES: stack.mail.calls(),
        KMS: stack.kms.calls(),
        Lambda: stack.lambda.calls(),
        EventBridge: stack.events.calls(),
        Stripe: stack.stripe?.calls() ?? {},
      },
    }),
    'POST /_local/studio/switch': ({ body: { name, on: wanted } }) => {
      const found = SWITCHES[String(name)]
      if (!found) throw new ControlError(`There is no switch ${String(name)}`)
      if (wanted === true) on.add(String(name))
      else on.delete(String(name))
      apply(found.of)
    },
    'POST /_local/clock/next-renewal': async () => {
      const nextMs = await nextRenewal(stack, clock.nowMs())
      if (nextMs === undefined) throw new ControlError('No renewal or retry is waiting for its time.')
      clock.advance(Math.max(0, nextMs - clock.nowMs()) + 1_000)
      return { now: clock.nowMs() }
    },
  }
}
