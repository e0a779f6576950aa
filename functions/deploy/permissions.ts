import type { Purpose } from '../../core/purposes.ts'
import { type Condition, factsOf, type Grant, type Setting } from '../http/needs.ts'
import type { Need } from '../http/route.ts'
import { calls } from './calls.ts'
import { type Calls, type Deployed, leavesDeadLetters } from './functions.ts'

/** The permissions of a function for what its code can reach, besides that to write its own log. */
export function grantsOf(deployed: Deployed): Grant[] {
  const own = callsOf(deployed)
  const [methods, reads, writes] = [own.methods, own.reads, own.writes].map(words) as [
    string[],
    string[],
    string[],
  ]
  const asked = methods.flatMap((method) => {
    const [need, call = ''] = method.split('.')
    return factsOf(need as Need).grants[call] ?? []
  })
  const onTable = actionsIn(asked.filter(isOnTable))
  const writing = onTable.filter((action) => !READS.includes(action))
  const reading = onTable.filter((action) => READS.includes(action))
  return [
    ...(reads.length === 0
      ? within(writes, onTable)
      : [...within([...reads, ...writes].sort(), reading), ...within(writes, writing)]),
    ...(onTable.length > 0 ? [tableKey(writing.length > 0 ? WRITES_KEY : READS_KEY)] : []),
    ...together(asked.filter((grant) => !isOnTable(grant))),
    ...(leavesDeadLetters(deployed) ? [{ actions: ['sqs:SendMessage'], on: ['deadLetters' as const] }] : []),
  ]
}

function callsOf({ name }: Deployed): Calls {
  const own = calls[name]
  if (!own) throw new Error(`functions/deploy/calls.ts does not know ${name}. Run npm run generate.`)
  return own
}

const words = (text: string): string[] => text.split(' ').filter(Boolean)

const READS = ['dynamodb:GetItem', 'dynamodb:BatchGetItem', 'dynamodb:Query', 'dynamodb:ConditionCheckItem']

const isOnTable = ({ on }: Grant): boolean => on.includes('table')

const actionsIn = (grants: readonly Grant[]): string[] => [
  ...new Set(grants.flatMap(({ actions }) => actions)),
]

/**
 * Actions in these partitions of the table. `ForAllValues` also holds for a request that names no partition, such as a
 * scan, so the second condition wants one.
 */
const within = (partitions: readonly string[], actions: readonly string[]): Grant[] =>
  actions.length === 0 || partitions.length === 0
    ? []
    : [
        {
          actions,
          on: ['table'],
          when: [
            { test: 'ForAllValues:StringLike', variable: LEADING_KEYS, values: partitions },
            { test: 'Null', variable: LEADING_KEYS, values: ['false'] },
          ],
        },
      ]

const LEADING_KEYS = 'dynamodb:LeadingKeys'

const READS_KEY = ['kms:Decrypt', 'kms:DescribeKey']
const WRITES_KEY = [
  ...READS_KEY,
  'kms:Encrypt',
  'kms:GenerateDataKey',
  'kms:ReEncryptFrom',
  'kms:ReEncryptTo',
]

const throughDynamo: Condition = {
  test: 'StringEquals',
  variable: 'kms:ViaService',
  values: ['<dynamodb>'],
}

/** The table is encrypted with a KMS key of ours, which DynamoDB uses with the permissions of the caller. */
const tableKey = (actions: readonly string[]): Grant => ({ actions, on: ['tableKey'], when: [throughDynamo] })

/** Grants on the same resources under the same conditions as one. */
function together(grants: readonly Grant[]): Grant[] {
  const alike = Map.groupBy(grants, ({ on, when }) => JSON.stringify([on, when]))
  return [...alike.values()].flatMap((group) =>
    group.slice(0, 1).map((first) => ({ ...first, actions: actionsIn(group).sort() })),
  )
}

/** What a function's code does with the root secret. */
export const purposesOf = (deployed: Deployed): Purpose[] => words(callsOf(deployed).purposes) as Purpose[]

/** The names of all settings in a function's environment that its ports read. */
export function environmentOf({ kind, needs }: Deployed): Setting[] {
  const tokens: Setting[] = kind === 'authorizer' ? ['USER_POOL_ID', 'USER_POOL_CLIENT_ID'] : []
  return [...new Set([...tokens, ...needs.flatMap((need) => factsOf(need).settings)])]
}

/** Whether a function may ask people to show that they are no program, and then has the two settings of Turnstile. */
export const asksForAnswers = ({ needs }: Deployed): boolean => needs.includes('challenge')

/** Whether a restore of the table concerns a function: it then has the setting `SESSIONS_SINCE`, on a stage that has it. */
export const knowsRestores = ({ needs }: Deployed): boolean => needs.includes('table')

/**
 * Whether a function counts, notes or compares where its requests come from, which the distribution of a stage tells it.
 * It then has the setting `EDGE_SECRET`. A function that only reads does nothing of the kind.
 */
export const seesCallers = ({ kind, needs, table }: Deployed): boolean =>
  kind === 'endpoint' && needs.includes('table') && table !== 'read'

/**
 * Whether a function answers what nobody has signed only if it comes through the distribution, on a stage whose API is
 * closed at its own address. It then has the settings `EDGE_SECRET` and `API_ADDRESS`.
 */
export const isBehindEdge = ({ takesUnsigned = false }: Deployed): boolean => takesUnsigned
