import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { runSimulation } from '@cloud-copilot/iam-simulate'
import { ACCOUNT, all, arn, inputsOf, prefixOf, REGION, type Rule } from './findings.ts'
import type { Graph, Resource } from './graph.ts'

/**
 * An independent judge of the permissions: an engine that evaluates policies as IAM does, with AWS's own lists of actions,
 * resources and condition keys. It is asked about every call that functions made in the tests.
 */

const ROOT = join(import.meta.dirname, '..', '..')

export const RECORDED = 'test/infra/calls.json'

/** The calls of each function as `test/support/aws-calls.ts` writes them: `dynamodb:GetItem ACCOUNT#`. */
export const recordedCalls = (): Record<string, string[]> =>
  JSON.parse(readFileSync(join(ROOT, RECORDED), 'utf8'))

export interface Statement {
  effect?: string
  actions: string[]
  resources: string[]
  conditions?: { test: string; variable: string; values: string[] }[]
}

export const statementsOf = (role: Resource): Statement[] =>
  (role.inputs.inlinePolicies ?? []).flatMap(({ policy }: { policy: string }) => JSON.parse(policy))

/** The policy as IAM takes it. */
const policyOf = (statements: readonly Statement[]) => ({
  Version: '2012-10-17',
  Statement: statements.map(({ effect = 'Allow', actions, resources, conditions = [] }) => ({
    Effect: effect,
    Action: actions,
    Resource: resources,
    ...(conditions.length > 0 && { Condition: conditionOf(conditions) }),
  })),
})

function conditionOf(conditions: Required<Statement>['conditions']) {
  const all: Record<string, Record<string, string[]>> = {}
  for (const { test, variable, values } of conditions) all[test] = { ...all[test], [variable]: values }
  return all
}

/** A request as IAM sees it. */
interface Asked {
  action: string
  resource: string
  context: Record<string, string | string[]>
}

/** The names of items that a recorded call leaves out. */
const named = (partition: string) => (partition.endsWith('#') ? `${partition}69a0c3` : partition)

/** What IAM is asked about a recorded call. */
function askedOf(graph: Graph, call: string): Asked[] {
  const [action = '', about = ''] = call.split(' ')
  const [service] = action.split(':')
  const ask = (resource: string, context: Asked['context'] = {}, of = action): Asked => ({
    action: of,
    resource,
    context,
  })
  const prefix = prefixOf(graph)
  if (service === 'dynamodb') {
    const table = arn('dynamodb', `table/${graph.environment.TABLE ?? prefix}`)
    const isIndex = about.startsWith('index/')
    const item = isIndex
      ? ask(`${table}/${about}`)
      : ask(table, { 'dynamodb:LeadingKeys': about.split('+').map(named) })
    // DynamoDB opens the table's key with the permissions of the caller.
    const through = { 'kms:ViaService': `dynamodb.${REGION}.amazonaws.com` }
    return [
      item,
      ...KEY_CALLS[isRead(action) ? 'read' : 'write'].map((of) =>
        ask(arn('kms', 'key/TableKey'), through, of),
      ),
    ]
  }
  if (service === 'cognito-idp') return [ask(arn('cognito-idp', 'userpool/pool'))]
  if (service === 'kms')
    return [
      ask(arn('kms', 'key/SecretsKey'), {
        'kms:EncryptionContextKeys': about.split('+'),
        'kms:EncryptionContext:account': '69a0c3',
      }),
    ]
  if (service === 'lambda') return [ask(arn('lambda', `function:${prefix}-${about}`))]
  if (service === 'events') {
    const [bus] = inputsOf(graph, 'aws:cloudwatch/eventBus:EventBus')
    return [ask(arn('events', `event-bus/${bus?.name}`))]
  }
  if (service === 'ses')
    // SES asks for the identity and for the configuration set.
    return ['identity/mail.acme.io', `configuration-set/${prefix}`].map((path) =>
      ask(arn('ses', path), { 'ses:FromAddress': 'no-reply@mail.acme.io' }),
    )
  throw new Error(`There is no resource for ${call}`)
}

/** What a call to the table means for its key, once in a while: DynamoDB remembers keys for minutes. */
const KEY_CALLS = {
  read: ['kms:Decrypt', 'kms:DescribeKey'],
  write: [
    'kms:Decrypt',
    'kms:DescribeKey',
    'kms:Encrypt',
    'kms:GenerateDataKey',
    'kms:ReEncryptFrom',
    'kms:ReEncryptTo',
  ],
} as const

const isRead = (action: string) => /:(?:GetItem|BatchGetItem|Query|ConditionCheckItem)$/.test(action)

/**
 * What no test of a function asks: what Lambda does in its name, and the read of an item that does not exist, with which
 * its container opens a connection to the table (`ready` in `live.ts`).
 */
const unrecorded = (graph: Graph, name: string, hasDeadLetters: boolean, hasTable: boolean): Asked[] => [
  ...(hasTable ? askedOf(graph, 'dynamodb:GetItem ACCOUNT#') : []),
  ...['logs:CreateLogStream', 'logs:PutLogEvents'].map((action) => ({
    action,
    resource: arn(
      'logs',
      `log-group:/aws/lambda/${prefixOf(graph)}-${name}:log-stream:2026/11/21/[$LATEST]0`,
    ),
    context: {},
  })),
  ...(hasDeadLetters
    ? [{ action: 'sqs:SendMessage', resource: arn('sqs', `${prefixOf(graph)}-dead-letters`), context: {} }]
    : []),
]

/** The policy that AWS gives a key: whoever may use it is up to the policies of the account. */
const KEY_POLICY = {
  Version: '2012-10-17',
  Statement: [
    { Effect: 'Allow', Principal: { AWS: `arn:aws:iam::${ACCOUNT}:root` }, Action: 'kms:*', Resource: '*' },
  ],
}

const answers = new Map<string, Promise<string>>()

/** Why a policy refuses a request; an empty text if it allows the request. */
function refusal(policy: object, { action, resource, context }: Asked): Promise<string> {
  const simulation = {
    request: {
      principal: `arn:aws:iam::${ACCOUNT}:role/judged`,
      action,
      resource: { resource, accountId: ACCOUNT },
      contextVariables: context,
    },
    identityPolicies: [{ name: 'policy', policy }],
    serviceControlPolicies: [],
    resourceControlPolicies: [],
    ...(action.startsWith('kms:') && { resourcePolicy: KEY_POLICY }),
  }
  const key = JSON.stringify(simulation)
  const known = answers.get(key) ?? simulate(simulation)
  answers.set(key, known)
  return known
}

async function simulate(simulation: Parameters<typeof runSimulation>[0]): Promise<string> {
  const said = await runSimulation(simulation, {})
  if (said.resultType === 'error') return `${said.errors.message} ${JSON.stringify(said.errors)}`
  return said.overallResult === 'Allowed' ? '' : said.overallResult
}

/** The functions with a role: by name, the role and what their tests have asked for. */
function judged(graph: Graph) {
  const recorded = recordedCalls()
  return inputsOf(graph, 'aws:lambda/function:Function').flatMap((lambda) => {
    const name = lambda.name.slice(prefixOf(graph).length + 1)
    const role = all(graph, 'aws:iam/role:Role').find((one) => lambda.role.endsWith(`:${one.name}`))
    const statements = role ? statementsOf(role) : []
    const hasDeadLetters = inputsOf(
      graph,
      'aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig',
    ).some(({ functionName, destinationConfig }) => functionName === lambda.name && destinationConfig)
    const calls = recorded[name] ?? []
    const asked = [
      ...calls.flatMap((call) => askedOf(graph, call)),
      ...unrecorded(graph, name, hasDeadLetters, 'TABLE_NAME' in (lambda.environment?.variables ?? {})),
    ]
    return [{ name, statements, asked }]
  })
}

export const everyCallIsAllowed: Rule = async (graph) => {
  const said = await Promise.all(
    judged(graph).flatMap(({ name, statements, asked }) => {
      const policy = policyOf(statements)
      return asked.map(async (request) => {
        const why = await refusal(policy, request)
        const keys = request.context['dynamodb:LeadingKeys']
        return why === ''
          ? []
          : [`${name} may not call ${request.action} on ${request.resource} ${keys ?? ''}: ${why}`]
      })
    }),
  )
  return [...new Set(said.flat())]
}

/** Permissions that no call of a test uses: ways through shared code that only other functions' tests go, and why. */
const UNUSED: readonly [why: string, of: RegExp, actions: RegExp][] = [
  [
    'spending is one piece of code; tests of v1-consume fill its ring of ids, end a day, spend units that expire and run out',
    /^v1-(?:balance|lease|renew-lease|return-lease|reserve|return-reservation|settle-reservation)$/,
    /^(?:dynamodb:(?:BatchWriteItem|Query|PutItem)|lambda:InvokeFunction)$/,
  ],
  [
    'the vault is told of a user anew if it has lost them, as tests of v1-login show',
    /^(?:api-restore|api-update-current-user|v1-change-password|v1-finish-recovery)$/,
    /^cognito-idp:Admin(?:CreateUser|SetUserPassword)$/,
  ],
  ['a code proves a session, too', /^v1-finish-recovery$/, /^kms:Decrypt$/],
  [
    'closing an account erases one that is due at once, as tests of jobs-sweep and ops-erase do',
    /^jobs-reapply$/,
    /^cognito-idp:AdminDeleteUser$/,
  ],
  [
    'crediting a payment may be a renewal, which checks the default card, as in jobs-check-quotas',
    /^(?:jobs-sweep|ops-reconcile|ops-reconcile-account|ops-refund|webhooks-stripe)$/,
    /^dynamodb:ConditionCheckItem$/,
  ],
  [
    'a card that was proved ends a pause of renewals, as in v1-change-card',
    /^api-verify-payment$/,
    /^lambda:/,
  ],
  [
    'the link to a receipt is kept, as in v1-get-invoice',
    /^api-last-invoice$/,
    /^(?:dynamodb:UpdateItem|kms:(?:Encrypt|GenerateDataKey|ReEncryptFrom|ReEncryptTo))$/,
  ],
  [
    'something older is removed in the same transaction: a customer deleted at Stripe, a mail, a recovery, an abandoned registration',
    /^(?:admin-suspend-user|api-delete-payment-method|jobs-tell-alerts|v1-register|v1-remove-passkey|v1-remove-two-factor|v1-sign-up-for-bundle)$/,
    /^dynamodb:DeleteItem$/,
  ],
]

export const everyGrantIsUsed: Rule = (graph) =>
  judged(graph).flatMap(({ name, statements, asked }) =>
    statements
      .flatMap(({ actions, resources }) => actions.map((action) => ({ action, resources })))
      .filter(
        ({ action, resources }) =>
          !asked.some(
            (request) => request.action === action && resources.some((one) => covers(one, request.resource)),
          ),
      )
      .filter(({ action }) => !UNUSED.some(([, of, actions]) => of.test(name) && actions.test(action)))
      .map(({ action }) => `${name} may call ${action}, and no test's call does`),
  )

const covers = (pattern: string, resource: string) =>
  pattern.endsWith('*') ? resource.startsWith(pattern.slice(0, -1)) : pattern === resource
