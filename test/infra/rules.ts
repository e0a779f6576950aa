import type { ErrorCode } from '../../core/errors.ts'
import { tableDefinition } from '../../core/table/definition.ts'
import { subscribedEvents } from '../../core/webhooks/event-types.ts'
import { calls } from '../../functions/deploy/calls.ts'
import { cors } from '../../functions/http/cors.ts'
import { gatewayKey, type Need, type Placed } from '../../functions/http/route.ts'
import { errorsOf } from '../../functions/http/row-errors.ts'
import { rows } from '../../functions/http/rows.ts'
import { jobs, subscribers, tasks } from '../../functions/jobs/schedule.ts'
import { ENVIRONMENT } from './environment.ts'
import { all, arn, difference, inputsOf, prefixOf, type Rule, same } from './findings.ts'
import type { Graph, Resource } from './graph.ts'
import { everyCallIsAllowed, everyGrantIsUsed, type Statement, statementsOf } from './iam.ts'
import { hasSite, keptAssets, pageCount, siteCounts, siteRules } from './site-rules.ts'

/**
 * The rules for every stage. A rule returns sentences that say what is wrong, or none if the stage is right.
 * The rules read from rows and jobs what has to be deployed. They state permissions and settings again,
 * independently of `functions/deploy/`, because a rule that used the same code could not find its mistakes.
 */
const production = ({ stage }: Graph) => stage === 'production'
const isProtected = (graph: Graph) => production(graph) && graph.environment.PROTECTION !== 'off'
/** Whether the domain of mail is another stage's: then its address may have an identity of its own, as in SES's sandbox. */
const isMailOthers = ({ environment }: Graph): boolean => environment.MAIL_IDENTITY === 'existing'
/** Whether another copy of the stage is at work: this one runs no job and answers nobody. */
const isStandby = ({ environment }: Graph): boolean => environment.STANDBY === 'on'
const jobsOf = (graph: Graph) => (isStandby(graph) ? [] : Object.entries(jobs))
/** Whether the stage uses a table that was restored from a backup. */
const isRestored = ({ environment }: Graph): boolean => environment.TABLE !== undefined
const tableName = (graph: Graph): string => graph.environment.TABLE ?? prefixOf(graph)
const tableArn = (graph: Graph) => arn('dynamodb', `table/${tableName(graph)}`)
const deadLettersArn = (graph: Graph) => arn('sqs', `${prefixOf(graph)}-dead-letters`)
const functionArn = (graph: Graph, name: string) => arn('lambda', `function:${prefixOf(graph)}-${name}`)

const BUS = 'aws:cloudwatch/eventBus:EventBus'
const ARCHIVE = 'aws:cloudwatch/eventArchive:EventArchive'
const LAMBDA = 'aws:lambda/function:Function'
const ROLE = 'aws:iam/role:Role'
const ROUTE = 'aws:apigatewayv2/route:Route'
const DESTINATION = 'aws:sesv2/configurationSetEventDestination:ConfigurationSetEventDestination'
const ALARM = 'aws:cloudwatch/metricAlarm:MetricAlarm'
const FILTER = 'aws:cloudwatch/logMetricFilter:LogMetricFilter'
const QUERY = 'aws:cloudwatch/queryDefinition:QueryDefinition'
const BUDGET = 'aws:budgets/budget:Budget'
const LOG_GROUP = 'aws:cloudwatch/logGroup:LogGroup'

// The expected functions and routes, read from the rows

interface Expected {
  name: string
  needs: readonly Need[]
  table: readonly string[]
  row?: Placed
  background?: true
  job?: true
  reserved?: number
  timeoutSeconds?: number
}

const READS = ['GetItem', 'Query']
const WRITES = [...READS, 'PutItem', 'UpdateItem', 'DeleteItem', 'ConditionCheckItem']
const SPENDS = [...READS, 'PutItem', 'UpdateItem', 'BatchWriteItem']
const WORKS = [...WRITES, 'BatchGetItem', 'BatchWriteItem']

/** Of all requests that read an account, these store what they have fetched: an invoice with its receipt's link. */
const CACHING = ['get-invoice', 'last-invoice']

function tableOf({ auth, routes, file }: Placed): readonly string[] {
  if (auth === 'key') return SPENDS
  const reads = routes.every((key) => key.startsWith('GET ')) && !CACHING.includes(file)
  return reads ? READS : WRITES
}

/** What the guard of a recent proof needs: the password's vault, and what checks a second factor. */
const PROVING: readonly Need[] = ['table', 'identity', 'secrets', 'keyring', 'totp']

const kebab = (name: string) => name.replace(/[A-Z]+/g, (run) => `-${run.toLowerCase()}`)

const expected: readonly Expected[] = [
  ...rows.map((row) => ({
    name: `${row.dialect}-${row.file}`,
    needs: [...new Set([...row.needs, ...(row.proof === 'recent' ? PROVING : [])])],
    table: tableOf(row),
    row,
  })),
  ...Object.entries(jobs).map(([name, { needs, timeoutSeconds }]) => ({
    name: `jobs-${kebab(name)}`,
    needs,
    table: WORKS,
    background: true as const,
    job: true as const,
    reserved: 1,
    timeoutSeconds,
  })),
  ...Object.entries(subscribers).map(([name, { needs, timeoutSeconds }]) => ({
    name: `jobs-${kebab(name)}`,
    needs,
    table: WRITES,
    background: true as const,
    timeoutSeconds,
  })),
  ...Object.entries(tasks).map(([name, { needs, timeoutSeconds }]) => ({
    name: `jobs-${kebab(name)}`,
    needs,
    table: WRITES,
    background: true as const,
    // Renewals run beside each other.
    reserved: { renew: 20 }[name as keyof typeof tasks],
    timeoutSeconds,
  })),
  { name: 'authorizer', needs: [], table: [] },
  { name: 'pre-token', needs: [], table: [], timeoutSeconds: 5 },
  { name: 'custom-auth', needs: ['keyring'], table: [], timeoutSeconds: 5 },
]

/** The functions that the user pool calls. */
const TRIGGERS = ['pre-token', 'custom-auth']

/** The routes of a row: those of operators are at the console too. */
const routesOf = (row: Placed): string[] => {
  const keys = row.routes.map(gatewayKey)
  return row.auth === 'operator' ? [...keys, ...keys.map((key) => key.replace(' /ops/', ' /console/'))] : keys
}

const BY_TOKEN = ['CUSTOM', 'ApiAuthorizerAccessTokenAuthorizer-id']

/** Who checks the caller of a route: IAM those of operators, and our authorizer those with an access token. */
const authorizationOf = ({ auth }: Placed, key: string) => {
  if (auth === 'operator') return key.includes(' /ops/') ? ['AWS_IAM', undefined] : BY_TOKEN
  return auth === 'account' ? BY_TOKEN : ['NONE', undefined]
}

// Permissions

const statementText = ({ actions, resources, conditions = [] }: Statement): string[] =>
  actions.flatMap((action) =>
    resources.map((resource) => {
      const when = conditions.map(
        ({ test, variable, values }) => ` if ${variable} ${test} ${values.join('|')}`,
      )
      return `${action} on ${resource}${when.join('')}`
    }),
  )

/** The name of the stage's bus. */
const busOf = (graph: Graph): string =>
  inputsOf(graph, BUS)
    .map(({ name }) => name)
    .join()

/**
 * The most that a function may have, one line for each action on a resource. Which of it a function has is up to its code;
 * that it has enough and no more, the recorded calls say (`iam.ts`).
 */
function permitted(graph: Graph, { name, needs, table, background, job }: Expected): string[] {
  const on = (resource: string, service: string, actions: readonly string[], when = '') =>
    actions.map((action) => `${service}:${action} on ${resource}${when}`)
  const tableKey = ['Decrypt', 'DescribeKey', ...(table === READS ? [] : ['Encrypt', 'GenerateDataKey'])]
  if (table !== READS) tableKey.push('ReEncryptFrom', 'ReEncryptTo')
  const byNeed: Record<Need, string[]> = {
    table: [
      ...on(tableArn(graph), 'dynamodb', name === 'ops-replay-events' ? [...table, 'BatchWriteItem'] : table),
      ...on(
        arn('kms', 'key/TableKey'),
        'kms',
        tableKey,
        ' if kms:ViaService StringEquals dynamodb.eu-west-1.amazonaws.com',
      ),
    ],
    listing: on(`${tableArn(graph)}/index/listed`, 'dynamodb', ['Query']),
    identity: on(arn('cognito-idp', 'userpool/pool'), 'cognito-idp', VAULT[name] ?? VAULT.others ?? []),
    mail: [
      ...['mail.acme.io', ...(isMailOthers(graph) ? ['no-reply@mail.acme.io'] : [])].flatMap((identity) =>
        on(
          arn('ses', `identity/${identity}`),
          'ses',
          ['SendEmail'],
          ' if ses:FromAddress StringEquals no-reply@mail.acme.io',
        ),
      ),
      ...on(arn('ses', `configuration-set/${prefixOf(graph)}`), 'ses', ['SendEmail']),
    ],
    secrets: on(
      arn('kms', 'key/SecretsKey'),
      'kms',
      ['Decrypt', ...(name === 'v1-enrol-two-factor' ? ['Encrypt'] : [])],
      ' if kms:EncryptionContextKeys ForAnyValue:StringEquals account',
    ),
    keyring: [],
    totp: [],
    relyingParty: [],
    deployment: [],
    hooks: [],
    passkeys: [],
    mailDomains: [],
    passwordHashes: [],
    payments: [],
    paymentScope: [],
    webhookSecrets: [],
    renewals: on(functionArn(graph, 'jobs-renew'), 'lambda', ['InvokeFunction']),
    events: on(arn('events', `event-bus/${busOf(graph)}`), 'events', ['PutEvents']),
    challenge: [],
  }
  return [
    ...on(`${logArn(graph, name)}:*`, 'logs', ['CreateLogStream', 'PutLogEvents']),
    ...needs.flatMap((need) => byNeed[need]),
    ...(job || name === 'ops-reconcile' ? [`dynamodb:Query on ${tableArn(graph)}/index/due`] : []),
    ...(background && !job ? [`sqs:SendMessage on ${deadLettersArn(graph)}`] : []),
  ]
}

/** Making users, setting passwords and removing users is for few; nobody else may do more than prove a password. */
const ENROLS = ['AdminCreateUser', 'AdminSetUserPassword', 'AdminInitiateAuth']
const VAULT: Record<string, string[]> = {
  others: ['AdminInitiateAuth'],
  'v1-activate': ['AdminCreateUser', 'AdminSetUserPassword'],
  'v1-login': ENROLS,
  'api-restore': ENROLS,
  'v1-change-password': ENROLS,
  'api-update-current-user': ENROLS,
  'v1-reset-password': ENROLS,
  'v1-finish-recovery': ENROLS,
  'v1-key-login': ['AdminInitiateAuth', 'AdminRespondToAuthChallenge'],
  'v1-passkey-login': ['AdminInitiateAuth', 'AdminRespondToAuthChallenge'],
  'ops-erase': ['AdminInitiateAuth', 'AdminDeleteUser'],
  'jobs-sweep': ['AdminCreateUser', 'AdminSetUserPassword', 'AdminDeleteUser'],
  'jobs-reapply': ['AdminDeleteUser', 'AdminSetUserPassword'],
}

const logArn = (graph: Graph, name: string) => arn('logs', `log-group:/aws/lambda/${prefixOf(graph)}-${name}`)

function roleOf(graph: Graph, lambda: { role: string }): Resource | undefined {
  return all(graph, ROLE).find(({ name }) => lambda.role.endsWith(`:${name}`))
}

const lambdaOf = (graph: Graph, name: string) =>
  inputsOf(graph, LAMBDA).find((one) => one.name === `${prefixOf(graph)}-${name}`)

const permissions: Rule = (graph) =>
  expected.flatMap((fn) => {
    const lambda = lambdaOf(graph, fn.name)
    const role = lambda && roleOf(graph, lambda)
    if (!role) return [`${fn.name} has no role of its own`]
    const statements = statementsOf(role).map((one) =>
      isOnTable(graph, one) ? { ...one, conditions: [] } : one,
    )
    const allowed = permitted(graph, fn)
    return statements
      .flatMap(statementText)
      .filter((text) => !allowed.includes(text))
      .map((text) => `permission of ${fn.name}: ${text} should not be there`)
  })

const isOnTable = (graph: Graph, { resources }: Statement) => resources.includes(tableArn(graph))

/** Who may read what not every function may, by the functions' names. */
const READERS: Record<string, RegExp> = {
  'SERVICE#*': /consume|reserv|lease|balance|service|^jobs-reapply/,
  SERVICES: /^ops-.*service|^jobs-reapply/,
  'ADMINKEY#*': /^admin-|^ops-.*admin-key|^jobs-reapply/,
  ADMINKEYS: /^ops-.*admin-key|^jobs-reapply/,
  OPERATORS: /^ops-|^jobs-reapply/,
  ENDPOINTS: /endpoint|deliver|^ops-replay|^jobs-(?:publish|reseal)/,
  'ENDPOINT#*': /endpoint|deliver|^ops-replay|^jobs-publish/,
  'IMPORT#*': /^ops-import-users$/,
  // Whoever may confirm what an account buys or which card it has, may end its trial.
  'TRIAL#*':
    /activate|import|verify-payment|card|bundle|buy|delete-user|stripe|suspend|close|erase|refund|reconcile|^jobs-(?:check-quotas|settle|sweep|renew|reseal|reapply)/,
  TOTALS: /^ops-totals|^jobs-(?:publish-events|count-use)/,
}

/** Who may change what others only read. */
const MAKERS: Record<string, RegExp> = {
  'SERVICE#*': /^ops-.*service|^jobs-reapply/,
  'ADMINKEY#*': /^ops-.*admin-key|^jobs-reapply/,
  OPERATORS: /^ops-(?:add|remove)-operator$|^ops-add-admin-key$|^jobs-reapply/,
  PLANS: /^ops-apply-plans$/,
  MAILDOMAINS: /^ops-rule-mail-domain$|^jobs-reapply/,
}

/** A request with an application key reaches accounts, and the look-up of keys and services. */
const WITH_KEY = ['ACCOUNT#*', 'APIKEY#*', 'SERVICE#*']

/** Checks that a function reaches only some partitions of the table, and that a request without any is refused. */
const partitions: Rule = (graph) =>
  expected.flatMap(({ name, row }) => {
    const lambda = lambdaOf(graph, name)
    const role = lambda && roleOf(graph, lambda)
    return (role ? statementsOf(role) : [])
      .filter((one) => isOnTable(graph, one))
      .flatMap(({ actions, conditions = [] }) => {
        const [only, given, ...others] = conditions
        const values = only?.values ?? []
        const writes = actions.some(
          (action) => !/:(?:GetItem|BatchGetItem|Query|ConditionCheckItem)$/.test(action),
        )
        return [
          ...same(
            `the conditions of ${name}`,
            [only?.test, only?.variable, given, others],
            [
              'ForAllValues:StringLike',
              'dynamodb:LeadingKeys',
              { test: 'Null', variable: 'dynamodb:LeadingKeys', values: ['false'] },
              [],
            ],
          ),
          ...values
            .filter(
              (value) =>
                !/^[A-Z]+(?:#\*)?$/.test(value) ||
                READERS[value]?.test(name) === false ||
                (row?.auth === 'key' && !WITH_KEY.includes(value)),
            )
            .map((value) => `${name} reaches the partitions ${value}`),
          ...values
            .filter((value) => writes && MAKERS[value]?.test(name) === false)
            .map((value) => `${name} may change ${value}`),
        ]
      })
  })

const wildcards: Rule = (graph) =>
  all(graph, ROLE).flatMap((role) =>
    statementsOf(role).flatMap(({ actions, resources, effect = 'Allow' }) => [
      ...actions
        .filter((action) => action.includes('*'))
        .map((action) => `${role.name} has the action ${action}`),
      ...resources
        // The streams of the function's own log group; Lambda names the streams.
        .filter(
          (resource) =>
            resource.includes('*') &&
            !/^arn:aws:logs:[^*]+:log-group:\/aws\/lambda\/[^*]+:\*$/.test(resource),
        )
        .map((resource) => `${role.name} has the resource ${resource}`),
      ...same(`effect in ${role.name}`, effect, 'Allow'),
    ]),
  )

/** Checks who may assume each role, and that a role has only its inline policy. */
const roles: Rule = (graph) => {
  const schedulers = jobsOf(graph).length
  return [
    ...same('the number of roles', all(graph, ROLE).length, expected.length + schedulers),
    ...all(graph, ROLE).flatMap(({ name, inputs }) => [
      ...same(`managed policies of ${name}`, inputs.managedPolicyArns ?? [], []),
      ...same(
        `trust in ${name}`,
        inputs.assumeRolePolicy?.Statement?.map(({ Action, Principal }: Record<string, unknown>) => [
          Action,
          Principal,
        ]),
        [
          [
            'sts:AssumeRole',
            { Service: name.includes('Schedule') ? 'scheduler.amazonaws.com' : 'lambda.amazonaws.com' },
          ],
        ],
      ),
    ]),
  ]
}

const schedulerRoles: Rule = (graph) =>
  all(graph, 'aws:scheduler/schedule:Schedule').flatMap(({ inputs }) => {
    const role = all(graph, ROLE).find(({ name }) => inputs.target.roleArn.endsWith(`:${name}`))
    return difference(`permission of ${role?.name}`, role ? statementsOf(role).flatMap(statementText) : [], [
      `lambda:InvokeFunction on ${inputs.target.arn}`,
    ])
  })

/** Checks who may call a function: the gateway, the pool or the bus, each from one source. */
const callers: Rule = (graph) =>
  difference(
    'caller',
    inputsOf(graph, 'aws:lambda/permission:Permission').map(
      ({ action, function: fn, principal, sourceArn }) =>
        `${action} ${fn.replace(/^.*function:/, '')} ${principal} ${sourceArn}`,
    ),
    [
      ...rows.flatMap((row) =>
        routesOf(row).map(
          () =>
            `lambda:InvokeFunction ${prefixOf(graph)}-${row.dialect}-${row.file} apigateway.amazonaws.com ${arn('execute-api', 'api/*')}`,
        ),
      ),
      `lambda:InvokeFunction ${prefixOf(graph)}-authorizer apigateway.amazonaws.com ${arn('execute-api', 'api/authorizers/ApiAuthorizerAccessTokenAuthorizer-id')}`,
      ...TRIGGERS.map(
        (name) =>
          `lambda:InvokeFunction ${prefixOf(graph)}-${name} cognito-idp.amazonaws.com ${arn('cognito-idp', 'userpool/pool')}`,
      ),
      ...Object.keys(subscribers).map((name) => {
        const fn = `jobs-${kebab(name)}`
        return `lambda:InvokeFunction ${prefixOf(graph)}-${fn} events.amazonaws.com ${ruleArn(graph, fn)}`
      }),
    ].filter((one, at, list) => list.indexOf(one) === at),
  ).filter((sentence) => !sentence.endsWith('is there twice'))

const ruleArn = (graph: Graph, fn: string) => {
  const target = inputsOf(graph, 'aws:cloudwatch/eventTarget:EventTarget').find(
    (one) => one.arn === functionArn(graph, fn),
  )
  const rule = all(graph, 'aws:cloudwatch/eventRule:EventRule').find(
    ({ inputs }) => inputs.name === target?.rule,
  )
  return arn('cloudwatch', rule?.name ?? 'none')
}

// The gateway

const routes: Rule = (graph) =>
  difference(
    'route',
    inputsOf(graph, ROUTE).map(({ routeKey }) => routeKey),
    rows.flatMap(routesOf),
  )

const authorizers: Rule = (graph) => {
  const [authorizer, ...others] = all(graph, 'aws:apigatewayv2/authorizer:Authorizer')
  return [
    ...same('the number of authorizers', [authorizer, ...others].length, 1),
    ...same('the authorizer', authorizer?.inputs, {
      ...authorizer?.inputs,
      apiId: 'ApiApi-id',
      authorizerType: 'REQUEST',
      authorizerPayloadFormatVersion: '2.0',
      authorizerUri: `${arn('apigateway', 'lambda:path').replace(':123456789012', '')}/2015-03-31/functions/${functionArn(graph, 'authorizer')}/invocations`,
      enableSimpleResponses: true,
      authorizerResultTtlInSeconds: 300,
      identitySources: ['$request.header.Authorization'],
    }),
    ...rows.flatMap((row) =>
      routesOf(row).flatMap((key) => {
        const route = inputsOf(graph, ROUTE).find(({ routeKey }) => routeKey === key)
        return same(
          `authorization of ${key}`,
          [route?.authorizationType, route?.authorizerId],
          authorizationOf(row, key),
        )
      }),
    ),
  ]
}

const targets: Rule = (graph) =>
  rows.flatMap((row) =>
    routesOf(row).flatMap((key) => {
      const route = inputsOf(graph, ROUTE).find(({ routeKey }) => routeKey === key)
      const integration = all(graph, 'aws:apigatewayv2/integration:Integration').find(
        ({ name }) => route?.target === `integrations/${name}-id`,
      )
      return same(
        `what ${key} reaches`,
        [
          integration?.inputs.integrationType,
          integration?.inputs.payloadFormatVersion,
          integration?.inputs.integrationUri,
        ],
        ['AWS_PROXY', '2.0', functionArn(graph, `${row.dialect}-${row.file}`)],
      )
    }),
  )

/** What an endpoint answers at which a password, a code, a passkey or a card can be tried. */
const TRIED: readonly ErrorCode[] = [
  'invalid_credentials',
  'wrong_password',
  'invalid_code',
  'two_factor_invalid',
  'passkey_refused',
  'too_many_cards_tried',
]

/** Routes where something can be tried, or mails and accounts be made in bulk, or strangers reach Cognito. */
const TIGHT = rows
  .filter(
    (row) =>
      errorsOf(row).some((code) => TRIED.includes(code)) ||
      (row.auth === 'public' && (row.body || row.needs.includes('identity'))),
  )
  .flatMap(routesOf)

const throttles: Rule = (graph) => {
  const stages = all(graph, 'aws:apigatewayv2/stage:Stage')
  const { defaultRouteSettings: overall, routeSettings = [] } = stages[0]?.inputs ?? {}
  const limits = (rate: number, burst: number) => (isStandby(graph) ? [0, 0] : [rate, burst])
  return [
    ...same('the number of gateway stages', stages.length, 1),
    ...same(
      'the stage’s throttle',
      [overall?.throttlingRateLimit, overall?.throttlingBurstLimit],
      limits(2000, 1000),
    ),
    ...difference(
      'tight throttle',
      routeSettings.map(({ routeKey }: { routeKey: string }) => routeKey),
      TIGHT,
    ),
    ...routeSettings.flatMap((one: Record<string, unknown>) =>
      same(
        `the throttle of ${one.routeKey}`,
        [one.throttlingRateLimit, one.throttlingBurstLimit],
        limits(500, 500),
      ),
    ),
    // API Gateway refuses settings of a route that does not exist yet.
    ...all(graph, ROUTE)
      .filter(({ urn }) => !stages[0]?.dependsOn.includes(urn))
      .map(({ inputs }) => `The stage does not wait for ${inputs.routeKey}`),
  ]
}

const crossOrigin: Rule = (graph) =>
  same('CORS', inputsOf(graph, 'aws:apigatewayv2/api:Api')[0]?.corsConfiguration, {
    allowOrigins: ENVIRONMENT.ALLOWED_ORIGINS.split(','),
    allowMethods: [...cors.methods],
    allowHeaders: [...cors.headers],
    exposeHeaders: [...cors.exposeHeaders],
    maxAge: cors.maxAgeSeconds,
    allowCredentials: false,
  })

// Functions and what they write

const BY_NEED: Record<Need, readonly string[]> = {
  table: ['TABLE_NAME'],
  listing: ['TABLE_NAME'],
  identity: ['USER_POOL_ID', 'USER_POOL_CLIENT_ID', 'USER_POOL_CLIENT_SECRET'],
  mail: ['MAIL_FROM', 'MAIL_CONFIGURATION_SET', 'APP_URL', 'APP_NAME'],
  keyring: ['KEYRING'],
  secrets: ['KMS_KEY_ID'],
  totp: ['APP_NAME'],
  relyingParty: ['APP_URL', 'APP_NAME'],
  deployment: ['APP_NAME', 'STRIPE_PUBLISHABLE_KEY', 'STAGE', 'PAGE_SETTINGS'],
  passkeys: ['APP_URL'],
  mailDomains: [],
  passwordHashes: [],
  payments: ['STRIPE_SECRET_KEY', 'STAGE'],
  paymentScope: ['STAGE'],
  webhookSecrets: ['STRIPE_WEBHOOK_SECRETS', 'STAGE'],
  renewals: ['RENEWAL_FUNCTION'],
  events: ['EVENT_BUS'],
  hooks: [],
  challenge: [],
}

const functions: Rule = (graph) => [
  ...difference(
    'function',
    inputsOf(graph, LAMBDA).map(({ name }) => name),
    expected.map(({ name }) => `${prefixOf(graph)}-${name}`),
  ),
  ...expected.flatMap((fn) => {
    const lambda = lambdaOf(graph, fn.name) ?? {}
    return [
      ...same(
        `runtime of ${fn.name}`,
        [lambda.runtime, lambda.architectures, lambda.packageType],
        ['nodejs24.x', ['arm64'], 'Zip'],
      ),
      ...same(`memory of ${fn.name}`, lambda.memorySize, TRIGGERS.includes(fn.name) ? 256 : 1024),
      ...(lambda.timeout > 0 && lambda.timeout <= (fn.timeoutSeconds ?? 29)
        ? []
        : [`the time-out of ${fn.name} is ${lambda.timeout} s`]),
      ...same(`log of ${fn.name}`, lambda.loggingConfig, {
        logFormat: 'JSON',
        logGroup: `/aws/lambda/${prefixOf(graph)}-${fn.name}`,
      }),
    ]
  }),
]

const bundles: Rule = (graph) =>
  same(
    'the code of the functions',
    graph.builds,
    Object.fromEntries(
      expected.map(({ name }) => [
        pascal(name),
        { handler: 'index.handler', bundle: `.bundles/${name}`, links: {} },
      ]),
    ),
  )

const environment: Rule = (graph) =>
  expected.flatMap(({ name, needs, row, table }) => {
    const variables: Record<string, string> = lambdaOf(graph, name)?.environment.variables ?? {}
    const own = name === 'authorizer' ? ['USER_POOL_ID', 'USER_POOL_CLIENT_ID'] : []
    // Endpoints that write count and note where requests come from; those with an application key compare it, too.
    // The console's requests to operators' endpoints are not signed. Stripe's are.
    const isClosed = row && row.dialect !== 'webhooks' && graph.environment.API_ADDRESS === 'closed'
    const compares = row && needs.includes('table') && table !== READS
    if ((compares || isClosed) && hasSite(graph)) own.push('EDGE_SECRET')
    if (isClosed) own.push('API_ADDRESS')
    if (needs.includes('table') && isRestored(graph)) own.push('SESSIONS_SINCE')
    return [
      ...difference(
        `environment of ${name}`,
        // Bursar does not read SST's own variables.
        Object.keys(variables).filter((key) => !key.startsWith('SST_')),
        new Set([...own, ...needs.flatMap((need) => BY_NEED[need])]),
      ),
      ...Object.keys(variables)
        .filter((key) => !variables[key])
        .map((key) => `${key} of ${name} is empty`),
    ]
  })

/** No function has the root secret: each has the keys for what its code does with it, encrypted with a key of their own. */
const keyrings: Rule = (graph) => [
  ...expected.flatMap(({ name, needs }) => {
    const { environment, kmsKeyArn } = lambdaOf(graph, name) ?? {}
    const [[, keys = {}] = []] = JSON.parse(environment?.variables.KEYRING ?? '[]')
    const wanted = needs.includes('keyring') ? (calls[name]?.purposes.split(' ') ?? []) : []
    return [
      ...difference(`keyring of ${name}`, Object.keys(keys), wanted),
      ...same(`what encrypts the settings of ${name}`, kmsKeyArn, arn('kms', 'key/SettingsKey')),
    ]
  }),
  ...graph.resources
    .filter(
      ({ custom, inputs }) => custom && JSON.stringify(inputs)?.includes(ENVIRONMENT.SST_SECRET_RootSecret),
    )
    .map(({ type, name }) => `${type} ${name} has the root secret`),
]

const concurrency: Rule = (graph) =>
  expected.flatMap(({ name, reserved, row }) =>
    same(
      `reserved concurrency of ${name}`,
      lambdaOf(graph, name)?.reservedConcurrentExecutions,
      row?.dialect === 'webhooks' ? 20 : reserved,
    ),
  )

const retention: Rule = (graph) => {
  const days = production(graph) ? 90 : 7
  const groups = all(graph, LOG_GROUP)
  return [
    ...difference(
      'log group',
      groups.map(({ inputs }) => inputs.name).filter((name) => !name.startsWith('/aws/vendedlogs/apis/')),
      expected.map(({ name }) => `/aws/lambda/${prefixOf(graph)}-${name}`),
    ),
    ...same('the number of log groups', groups.length, expected.length + 1),
    ...groups.flatMap(({ name, inputs }) => same(`retention of ${name}, days`, inputs.retentionInDays, days)),
  ]
}

const accessLog: Rule = (graph) => {
  const format: string = inputsOf(graph, 'aws:apigatewayv2/stage:Stage')[0]?.accessLogSettings.format ?? ''
  const tells = [...format.matchAll(/\$context\.([\w.]+)/g)].map(([, name]) => name)
  return [
    ...same('the access log', tells, [
      'requestId',
      'requestTimeEpoch',
      'routeKey',
      'status',
      'responseLatency',
      'error.responseType',
      'integration.status',
      'integration.latency',
    ]),
    ...same('the status in the access log', /"status":\$context\.status\b/.test(format), true),
  ]
}

// Stores

const table: Rule = (graph) => {
  const [one, ...others] = inputsOf(graph, 'aws:dynamodb/table:Table')
  return [
    ...same('the number of tables', others.length, 0),
    ...same('the table', one, {
      name: prefixOf(graph),
      billingMode: 'PAY_PER_REQUEST',
      attributes: Object.entries(tableDefinition.attributes).map(([name, type]) => ({ name, type })),
      hashKey: 'pk',
      rangeKey: 'sk',
      globalSecondaryIndexes: [
        { name: 'due', hashKey: 'due', rangeKey: 'dueAtMs', projectionType: 'KEYS_ONLY' },
        { name: 'listed', hashKey: 'status', rangeKey: 'id', projectionType: 'KEYS_ONLY' },
      ],
      ttl: { attributeName: 'ttl', enabled: true },
      pointInTimeRecovery: { enabled: true },
      serverSideEncryption: { enabled: true, kmsKeyArn: arn('kms', 'key/TableKey') },
      deletionProtectionEnabled: isProtected(graph),
    }),
  ]
}

const userPool: Rule = (graph) => [
  ...same('the user pools', inputsOf(graph, 'aws:cognito/userPool:UserPool'), [
    {
      name: prefixOf(graph),
      userPoolTier: 'ESSENTIALS',
      usernameConfiguration: { caseSensitive: true },
      adminCreateUserConfig: { allowAdminCreateUserOnly: true },
      accountRecoverySetting: { recoveryMechanisms: [{ name: 'admin_only', priority: 1 }] },
      mfaConfiguration: 'OFF',
      passwordPolicy: {
        minimumLength: 8,
        requireLowercase: false,
        requireNumbers: false,
        requireSymbols: false,
        requireUppercase: false,
        temporaryPasswordValidityDays: 1,
      },
      lambdaConfig: {
        preTokenGenerationConfig: { lambdaArn: functionArn(graph, 'pre-token'), lambdaVersion: 'V2_0' },
        defineAuthChallenge: functionArn(graph, 'custom-auth'),
        createAuthChallenge: functionArn(graph, 'custom-auth'),
        verifyAuthChallengeResponse: functionArn(graph, 'custom-auth'),
      },
      deletionProtection: isProtected(graph) ? 'ACTIVE' : 'INACTIVE',
    },
  ]),
  ...same('the clients of the user pool', inputsOf(graph, 'aws:cognito/userPoolClient:UserPoolClient'), [
    {
      name: prefixOf(graph),
      userPoolId: 'UserPool-id',
      generateSecret: true,
      explicitAuthFlows: ['ALLOW_ADMIN_USER_PASSWORD_AUTH', 'ALLOW_CUSTOM_AUTH', 'ALLOW_REFRESH_TOKEN_AUTH'],
      allowedOauthFlowsUserPoolClient: false,
      preventUserExistenceErrors: 'ENABLED',
      enableTokenRevocation: true,
      tokenValidityUnits: { accessToken: 'minutes', idToken: 'minutes', refreshToken: 'days' },
      accessTokenValidity: 15,
      idTokenValidity: 15,
      refreshTokenValidity: 30,
    },
  ]),
]

const KEPT = [
  'aws:dynamodb/table:Table Table',
  'aws:cognito/userPool:UserPool UserPool',
  'aws:cognito/userPoolClient:UserPoolClient UserPoolClient',
  'aws:kms/key:Key TableKey',
  'aws:kms/key:Key SecretsKey',
]

/** Other stages send with it, too. */
const IDENTITY = 'aws:sesv2/emailIdentity:EmailIdentity MailIdentity'

const protection: Rule = (graph) => {
  const named = (holds: (one: Resource) => boolean) =>
    graph.resources.filter((one) => one.custom && holds(one)).map(({ type, name }) => `${type} ${name}`)
  const kept = isProtected(graph) ? KEPT : []
  return [
    ...same(
      'the stage’s protection',
      [graph.app.protect, graph.app.removal],
      [isProtected(graph), isProtected(graph) ? 'retain' : 'remove'],
    ),
    ...difference(
      'protected',
      named(({ protect }) => protect),
      kept,
    ),
    ...difference(
      'retained',
      named(({ retain }) => retain),
      [...kept, ...(isMailOthers(graph) ? [] : [IDENTITY]), ...keptAssets(graph)],
    ),
    ...all(graph, 'aws:kms/key:Key').flatMap(({ name, inputs }) =>
      same(
        `rotation of ${name}`,
        [inputs.enableKeyRotation, inputs.deletionWindowInDays],
        [true, production(graph) ? 30 : 7],
      ),
    ),
  ]
}

// Work without a caller

const schedules: Rule = (graph) =>
  same(
    'the schedules',
    inputsOf(graph, 'aws:scheduler/schedule:Schedule')
      .map(({ scheduleExpression, state, target }) => ({
        scheduleExpression,
        state,
        ...target,
        roleArn: undefined,
      }))
      .sort((one, other) => one.arn.localeCompare(other.arn)),
    jobsOf(graph)
      .map(([name, { every }]) => ({
        scheduleExpression: every,
        state: 'ENABLED',
        arn: functionArn(graph, `jobs-${kebab(name)}`),
        input: '{}',
        retryPolicy: { maximumRetryAttempts: 0, maximumEventAgeInSeconds: 60 },
        roleArn: undefined,
      }))
      .sort((one, other) => one.arn.localeCompare(other.arn)),
  )

/**
 * Lambda accepts an asynchronous call before the run, so failed runs need retries and dead letters; but ticks of a job must
 * not pile up behind a long run.
 */
const retries: Rule = (graph) =>
  same(
    'retries and dead letters of background functions',
    inputsOf(graph, 'aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig')
      .map((one) => one)
      .sort((one, other) => one.functionName.localeCompare(other.functionName)),
    expected
      .filter(({ background }) => background)
      .map(({ name, job }) => ({
        functionName: `${prefixOf(graph)}-${name}`,
        ...(job
          ? { maximumRetryAttempts: 0, maximumEventAgeInSeconds: 60 }
          : {
              maximumRetryAttempts: 2,
              maximumEventAgeInSeconds: 3600,
              destinationConfig: { onFailure: { destination: deadLettersArn(graph) } },
            }),
      }))
      .sort((one, other) => one.functionName.localeCompare(other.functionName)),
  )

/** Whether a function settles payments, and counts failures. An event of a subscriber that fails is a dead letter. */
const paysInBackground = ({ name, background, needs }: Expected): boolean =>
  background === true &&
  needs.includes('payments') &&
  !Object.keys(subscribers).some((subscriber) => name === `jobs-${kebab(subscriber)}`)

const events: Rule = (graph) => {
  const bus = inputsOf(graph, BUS).map(({ name }) => name)
  return [
    ...same('the number of buses', bus.length, 1),
    ...same('the archive of the bus', inputsOf(graph, ARCHIVE), [
      {
        name: `${prefixOf(graph)}-events`,
        description: 'What Bursar has published: for a restore of the table',
        eventSourceArn: arn('events', `event-bus/${bus[0]}`),
        eventPattern: '{"source":["bursar"]}',
        retentionDays: 35,
      },
    ]),
    ...difference(
      'rule',
      inputsOf(graph, 'aws:cloudwatch/eventRule:EventRule').map(
        ({ eventBusName, eventPattern, name }) =>
          `${eventBusName} ${eventPattern} ${inputsOf(graph, 'aws:cloudwatch/eventTarget:EventTarget')
            .filter(({ rule }) => rule === name)
            .map(({ arn: to, deadLetterConfig, retryPolicy }) =>
              JSON.stringify([to, deadLetterConfig, retryPolicy]),
            )}`,
      ),
      Object.entries(subscribers).map(
        ([name, { detailTypes, from }]) =>
          `${from === 'ses' ? 'default' : bus[0]} ${eventPattern(graph, detailTypes, from)} ${JSON.stringify([
            functionArn(graph, `jobs-${kebab(name)}`),
            { arn: deadLettersArn(graph) },
            { maximumEventAgeInSeconds: 86_400, maximumRetryAttempts: 20 },
          ])}`,
      ),
    ),
  ]
}

/** Nobody but SES can send events of the source `aws.ses`, and other stages' mails name other configuration sets. */
const eventPattern = (graph: Graph, detailTypes: readonly string[], from: string) =>
  JSON.stringify(
    from === 'archive'
      ? { 'detail-type': detailTypes, source: ['bursar'], 'replay-name': [{ exists: true }] }
      : from === 'ses'
        ? {
            'detail-type': detailTypes,
            source: ['aws.ses'],
            detail: { mail: { tags: { 'ses:configuration-set': [prefixOf(graph)] } } },
          }
        : { 'detail-type': detailTypes },
  )

const deadLetters: Rule = (graph) => [
  ...same('the queues', inputsOf(graph, 'aws:sqs/queue:Queue'), [
    {
      name: `${prefixOf(graph)}-dead-letters`,
      messageRetentionSeconds: 1_209_600,
      sqsManagedSseEnabled: true,
    },
  ]),
  ...difference(
    'who may put dead letters',
    inputsOf(graph, 'aws:sqs/queuePolicy:QueuePolicy').flatMap(({ policy }) =>
      JSON.parse(policy).map(policyText),
    ),
    [
      policyText({
        principals: [{ type: 'Service', identifiers: ['events.amazonaws.com'] }],
        actions: ['sqs:SendMessage'],
        resources: [deadLettersArn(graph)],
        conditions: [
          {
            test: 'ArnEquals',
            variable: 'aws:SourceArn',
            values: Object.keys(subscribers).map((name) => ruleArn(graph, `jobs-${kebab(name)}`)),
          },
        ],
      }),
    ],
  ),
]

const policyText = (statement: Statement & { principals?: { type: string; identifiers: string[] }[] }) =>
  `${JSON.stringify(statement.principals?.map(({ type, identifiers }) => [type, identifiers]))} ${statementText(statement)}`

// Alarms

const pascal = (name: string) => name.replace(/(?:^|-)(\w)/g, (_, letter: string) => letter.toUpperCase())

/** For how many seconds a job may not run, by its schedule. */
const SILENCE: Record<string, number> = {
  'rate(1 minute)': 900,
  'rate(10 minutes)': 1_800,
  'rate(15 minutes)': 2_700,
}

/** Each alarm as `name: metric, threshold, period in seconds, number of periods`. */
function alarmsOf(graph: Graph): string[] {
  const api = 'ApiId=ApiApi-id'
  const reserved = expected.filter((fn) => fn.reserved || fn.row?.dialect === 'webhooks')
  const background = expected.filter((fn) => fn.background)
  // Lambda counts what it refuses of these itself; of endpoints the gateway does.
  const uncalled = expected.filter((fn) => !fn.row && !fn.reserved)
  const fn = (name: string) => `FunctionName=${prefixOf(graph)}-${name}`
  const own = `Bursar/${graph.stage}`
  // A hot partition of an index throttles writes under the name of the index alone.
  const tableSources = ['ReadThrottleEvents', 'WriteThrottleEvents'].map((metric) =>
    ['', 'GlobalSecondaryIndexName=due,', 'GlobalSecondaryIndexName=listed,'].map(
      (index) => `AWS/DynamoDB ${metric} ${index}TableName=${tableName(graph)} Sum 300`,
    ),
  )
  return [
    `ApiErrors: AWS/ApiGateway 5xx ${api} Sum 5 300 1`,
    `SlowAnswers: AWS/ApiGateway Latency ${api} p99 5000 300 3`,
    `Throttles: ${own} FunctionThrottles  Sum 5 300 1`,
    'VaultThrottles: the sum of AWS/Cognito SignInThrottles UserPool=UserPool-id,UserPoolClient=UserPoolClient-id Sum 300, AWS/Cognito SignUpThrottles UserPool=UserPool-id,UserPoolClient=Admin Sum 300, AWS/Cognito TokenRefreshThrottles UserPool=UserPool-id,UserPoolClient=UserPoolClient-id Sum 300 5 1 of 3',
    `DeadLetters: AWS/SQS ApproximateNumberOfMessagesVisible QueueName=${prefixOf(graph)}-dead-letters Maximum 1 300 1`,
    `LedgerMismatch: ${own} AlarmLines  Sum 1 300 1`,
    `WebhookFailures: ${own} WebhookFailures  Sum 3 300 1`,
    `WebhookRefusals: ${own} WebhookRefusals  Sum 3 3600 1`,
    `RenewalsFailing: ${own} PaymentWorkFailed  Sum 3 900 1`,
    `MailFailing: ${own} MailFailed  Sum 3 900 1`,
    `MailOverdue: ${own} MailOverdue  Sum 1 900 1`,
    `MailLate: ${own} MailLate  Sum 1 300 1`,
    `MailLeft: ${own} MailLeft  Sum 3 900 1`,
    `EndpointDisabled: ${own} EndpointsDisabled  Sum 1 300 1`,
    `EventsFailing: ${own} EventsFailed  Sum 3 900 1`,
    `Unauthorized: ${own} Unauthorized  Sum 1000 300 1`,
    `PaymentRequired: ${own} PaymentRequired  Sum 1000 300 1`,
    `TooManyRequests: ${own} TooManyRequests  Sum 500 300 1`,
    `Registrations: ${own} Registrations  Sum 200 900 1`,
    `CardDeclines: ${own} CardDeclines  Sum 30 900 1`,
    'BounceRate: AWS/SES Reputation.BounceRate  Maximum 0.03 3600 1',
    'ComplaintRate: AWS/SES Reputation.ComplaintRate  Maximum 0.0008 3600 1',
    `TableThrottles: the sum of ${tableSources.flat().join(', ')} 1 1 of 3`,
    ...reserved.map(({ name }) => `${pascal(name)}Throttles: AWS/Lambda Throttles ${fn(name)} Sum 1 300 3`),
    ...uncalled.map(({ name }) => `${pascal(name)}Throttles: AWS/Lambda Throttles ${fn(name)} Sum 1 300 1`),
    ...background.map(({ name }) => `${pascal(name)}Errors: AWS/Lambda Errors ${fn(name)} Sum 1 300 1`),
    ...jobsOf(graph).map(([name, { every }]) => {
      const seconds = SILENCE[every] ?? 900
      return `${pascal(`jobs-${kebab(name)}`)}Absent: AWS/Lambda Invocations ${fn(`jobs-${kebab(name)}`)} Sum 1 ${seconds} 1`
    }),
  ]
}

interface Query {
  id: string
  expression?: string
  returnData?: boolean
  metric?: {
    namespace: string
    metricName: string
    stat: string
    period: number
    dimensions: Record<string, string>
  }
}

const dimensionsText = (dimensions: Record<string, string> = {}) =>
  Object.entries(dimensions)
    .map((pair) => pair.join('='))
    .sort()

// biome-ignore lint/suspicious/noExplicitAny: the inputs of an alarm
function alarmText(graph: Graph, alarm: any): string {
  const { namespace, metricName, dimensions, statistic, threshold, period, evaluationPeriods } = alarm
  const name = alarm.name.slice(prefixOf(graph).length + 1)
  if (alarm.metricQueries) {
    const [sum, ...parts] = alarm.metricQueries as Query[]
    const counted = parts.map(({ metric }) =>
      [
        ...[metric?.namespace, metric?.metricName, dimensionsText(metric?.dimensions)],
        ...[metric?.stat, metric?.period],
      ].join(' '),
    )
    // Throttles have no data while nothing is throttled, and a sum with such a part has no value.
    const isSum = sum?.returnData && sum.expression === parts.map(({ id }) => `FILL(${id}, 0)`).join(' + ')
    return `${name}: ${isSum ? 'the sum' : sum?.expression} of ${counted.join(', ')} ${threshold} ${alarm.datapointsToAlarm} of ${evaluationPeriods}`
  }
  const { extendedStatistic, evaluateLowSampleCountPercentiles: few } = alarm
  const measure = statistic ?? (few === 'ignore' ? extendedStatistic : `${extendedStatistic} of few`)
  return `${name}: ${namespace} ${metricName} ${dimensionsText(dimensions)} ${measure} ${threshold} ${period} ${evaluationPeriods}`
}

const alarms: Rule = (graph) => {
  const topics = all(graph, 'aws:sns/topic:Topic')
  const made = inputsOf(graph, ALARM)
  return [
    ...difference(
      'alarm',
      made.map((alarm) => alarmText(graph, alarm)),
      alarmsOf(graph),
    ),
    ...made.flatMap(({ name, alarmActions, actionsEnabled, comparisonOperator, treatMissingData }) =>
      same(
        `what ${name} does`,
        [alarmActions, actionsEnabled, comparisonOperator, treatMissingData],
        [
          [arn('sns', topics[0]?.name ?? '')],
          undefined,
          ...(name.endsWith('Absent')
            ? ['LessThanThreshold', 'breaching']
            : ['GreaterThanOrEqualToThreshold', 'notBreaching']),
        ],
      ),
    ),
    ...same(
      'who is told',
      inputsOf(graph, 'aws:sns/topicSubscription:TopicSubscription').map(({ topic, protocol, endpoint }) => [
        topic,
        protocol,
        endpoint,
      ]),
      topics.map(({ name }) => [arn('sns', name), 'email', ENVIRONMENT.ALARM_EMAIL]),
    ),
  ]
}

/** The saved query that an alarm about an attack sends its reader to. */
const ATTACK_QUERIES = {
  Unauthorized: 'Refusals by source',
  PaymentRequired: 'Refusals by route',
  TooManyRequests: 'Refusals by source',
  Registrations: 'Registrations by source',
  CardDeclines: 'Declined cards by account',
}

/** The places that an alarm's mail must name, for alarms that are not about one function. */
function placesOf(graph: Graph): Record<string, string[]> {
  const prefix = prefixOf(graph)
  const group = (name: string) => `/aws/lambda/${prefix}-${name}`
  const paying = expected.filter(paysInBackground)
  return {
    ApiErrors: ['/aws/vendedlogs/apis/', group('<function>'), `dashboard ${prefix}-eu-west-1 `],
    SlowAnswers: [`${prefix}/operation/Slowest routes.`],
    Throttles: [`${prefix}/operation/Errors by route:`, `dashboard ${prefix}-eu-west-1,`, 'Service Quotas'],
    VaultThrottles: [`${prefix}/attack/Refusals by source.`, 'Service Quotas'],
    TableThrottles: [`dashboard ${prefix}-eu-west-1:`, '"Table: units used"'],
    DeadLetters: [`queue ${prefix}-dead-letters `, group('<function>')],
    LedgerMismatch: [group('jobs-sweep'), 'in Stripe, Payments'],
    WebhookFailures: [group('webhooks-stripe'), 'Developers, Webhooks'],
    WebhookRefusals: ['Developers, Webhooks', 'StripeWebhookSecrets'],
    MailFailing: [group('jobs-send-mail'), 'SES, Account dashboard'],
    MailOverdue: [group('jobs-send-mail'), 'SES, Account dashboard'],
    MailLate: [group('jobs-send-mail'), 'SES, Account dashboard'],
    MailLeft: [group('jobs-send-mail'), 'SES, Account dashboard'],
    EndpointDisabled: [group('jobs-deliver-events'), 'endpoint enable <id>', 'endpoint replay <id>'],
    EventsFailing: [group('jobs-tell-alerts'), group('jobs-publish-events')],
    BounceRate: [group('jobs-note-mail-event'), 'SES, Reputation metrics'],
    ComplaintRate: [group('jobs-note-mail-event'), 'SES, Reputation metrics'],
    ...Object.fromEntries(
      Object.entries(ATTACK_QUERIES).map(([name, question]) => [
        name,
        [
          `${prefix}/attack/${question};`,
          '"An attack" in functions/deploy/README.md',
          `dashboard ${prefix}-eu-west-1 `,
        ],
      ]),
    ),
    RenewalsFailing: [...paying.map(({ name }) => group(name)), 'status.stripe.com'],
  }
}

/** Checks that an alarm's text names existing log groups and charts, because its reader opens them. */
const whereToLook: Rule = (graph) => {
  const groups = inputsOf(graph, LOG_GROUP).map(({ name }) => name)
  const titles = inputsOf(graph, 'aws:cloudwatch/dashboard:Dashboard')
    .map((one) => one.dashboardBody)
    .join()
  const places = placesOf(graph)
  return inputsOf(graph, ALARM).flatMap(({ name, alarmDescription: text, dimensions }) => {
    const short = name.slice(prefixOf(graph).length + 1)
    const wanted = dimensions?.FunctionName
      ? [`/aws/lambda/${dimensions.FunctionName}`]
      : (places[short] ?? ['a place that the rules know'])
    const named: string[] = text.match(/\/aws\/lambda\/[\w-]+(?![\w<-])/g) ?? []
    const charts = [...text.matchAll(/"([^"]+)" (?:names|shows)/g)].flatMap(([, title = '']) => title)
    return [
      ...wanted.filter((place) => !text.includes(place)).map((place) => `${short} does not name ${place}`),
      ...named
        .filter((one) => !groups.includes(one))
        .map((one) => `${short} names ${one}, which is not there`),
      ...charts
        .filter((title) => !titles.includes(`"${title}"`))
        .map((title) => `${short} names the chart ${title}, which is not there`),
      ...(text.length > 1024 ? [`the text of ${short} has ${text.length} characters, of 1024`] : []),
    ]
  })
}

/** What the business does: the metric, the job that writes it, and the member of its line. */
const BUSINESS = [
  ['SignUps', 'jobs-publish-events', 'added.accounts'],
  ['Confirmed', 'jobs-publish-events', 'added.confirmed'],
  ['Purchases', 'jobs-publish-events', 'added.purchases'],
  ['UnitsSold', 'jobs-publish-events', 'added.unitsSold'],
  ['Refunds', 'jobs-publish-events', 'added.refunds'],
  ['Disputes', 'jobs-publish-events', 'added.disputes'],
  ['UnitsUsed', 'jobs-count-use', 'added.unitsUsed'],
  ['Renewals', 'jobs-check-quotas', 'renewed'],
  ['Renewals', 'jobs-renew', 'renewed'],
  ['RenewalsWaiting', 'jobs-check-quotas', 'tried'],
  ['RenewalsWaiting', 'jobs-renew', 'tried'],
] as const

const logMetrics: Rule = (graph) => {
  const apiLog = inputsOf(graph, LOG_GROUP).find(({ name }) => name.startsWith('/aws/vendedlogs/apis/'))?.name
  const failed = '{ (($.routeKey = "POST /webhooks/stripe")) && (($.status >= 500) || ($.status = 429)) }'
  const making = ['POST /v1/auth/register', 'POST /rest/users', 'POST /rest/users/{slash+}']
    .map((key) => `($.routeKey = "${key}")`)
    .join(' || ')
  const refused = '{ (($.routeKey = "POST /webhooks/stripe")) && ($.status = 400) }'
  const paying = expected.filter(paysInBackground)
  const group = (name: string) => `/aws/lambda/${prefixOf(graph)}-${name}`
  return [
    ...difference(
      'log metric',
      inputsOf(graph, FILTER).map(
        ({ logGroupName, pattern, metricTransformation: { namespace, name, value } }) =>
          `${logGroupName} ${pattern} ${namespace} ${name} ${value}`,
      ),
      [
        ...expected.map(
          ({ name }) =>
            `${group(name)} { $.message.level = "alarm" } Bursar/${graph.stage} ${name === 'jobs-deliver-events' ? 'EndpointsDisabled' : 'AlarmLines'} 1`,
        ),
        ...paying.map(
          ({ name }) => `${group(name)} %ailed.{2,3}[1-9]% Bursar/${graph.stage} PaymentWorkFailed 1`,
        ),
        `${group('jobs-send-mail')} %ailed.{2,3}[1-9]% Bursar/${graph.stage} MailFailed 1`,
        ...['jobs-tell-alerts', 'jobs-publish-events'].map(
          (job) => `${group(job)} %ailed.{2,3}[1-9]% Bursar/${graph.stage} EventsFailed 1`,
        ),
        `${group('jobs-send-mail')} { $.message.overdue > 0 } Bursar/${graph.stage} MailOverdue 1`,
        `${group('jobs-send-mail')} { $.message.late > 0 } Bursar/${graph.stage} MailLate 1`,
        `${group('jobs-send-mail')} { $.message.left > 0 } Bursar/${graph.stage} MailLeft 1`,
        ...(
          [
            [401, 'Unauthorized'],
            [402, 'PaymentRequired'],
            [429, 'TooManyRequests'],
          ] as const
        ).map(
          ([status, name]) =>
            `${apiLog} { ($.routeKey != "POST /webhooks/stripe") && ($.status = ${status}) } Bursar/${graph.stage} ${name} 1`,
        ),
        `${apiLog} { (${making}) && ($.status < 300) } Bursar/${graph.stage} Registrations 1`,
        ...takingCards.map(
          ({ name }) =>
            `${group(name)} { $.message.error = "card_declined" } Bursar/${graph.stage} CardDeclines 1`,
        ),
        `${apiLog} { $.functionStatus = "429" } Bursar/${graph.stage} FunctionThrottles 1`,
        `${apiLog} ${failed} Bursar/${graph.stage} WebhookFailures 1`,
        `${apiLog} ${refused} Bursar/${graph.stage} WebhookRefusals 1`,
        ...BUSINESS.map(
          ([metric, job, member]) =>
            `${group(job)} { $.message.${member} > 0 } Bursar/${graph.stage} ${metric} $.message.${member}`,
        ),
        `${group('jobs-note-mail-event')} { $.message.mail = "marked" } Bursar/${graph.stage} MailsBounced 1`,
      ],
    ),
  ]
}

/** The endpoints where a card can be declined. */
const takingCards = expected.filter(
  ({ row, needs, table }) => row && needs.includes('payments') && table.includes('PutItem'),
)

/** The queries whose reader chooses log groups by their prefix: CloudWatch saves at most 50 with a query. */
const CHOSEN = ['One request', 'One account', 'Failures by what failed']

const OPERATION_QUERIES = [
  ...CHOSEN,
  'Errors by route',
  'Slowest routes',
  'Runs of jobs',
  'Mails that failed',
  'Events of Stripe that failed',
]

/** Checks that the queries for an attack and for operation are saved, and that each searches logs that exist, as many as AWS takes. */
const savedQueries: Rule = (graph) => {
  const made = inputsOf(graph, QUERY)
  const names = made.map(({ name }) => name)
  const groups = inputsOf(graph, LOG_GROUP).map(({ name }) => name)
  const wanted = [
    ...[
      ...Object.values(ATTACK_QUERIES),
      'Errors by source',
      'Requests for mails by source',
      'Mails that wait',
    ].map((question) => `attack/${question}`),
    ...OPERATION_QUERIES.map((question) => `operation/${question}`),
  ].map((question) => `${prefixOf(graph)}/${question}`)
  return [
    ...difference('saved query', names, [...new Set(wanted)]),
    ...made.flatMap(({ name, logGroupNames = [], queryString }) => [
      ...(logGroupNames.length > 50 ||
      (logGroupNames.length === 0 && !CHOSEN.some((one) => name.endsWith(`/${one}`)))
        ? [`${name} searches ${logGroupNames.length} log groups`]
        : []),
      ...logGroupNames
        .filter((one: string) => !groups.includes(one))
        .map((one: string) => `${name} searches ${one}, which is not there`),
      ...(/\b(ip|address|email|userAgent)\b/.test(queryString) ? [`${name} asks for a person`] : []),
    ]),
  ]
}

/** The budget is for the whole account, and there is one only if its operator wants one. */
const budget: Rule = (graph) => {
  const { MONTHLY_BUDGET } = graph.environment
  const notice = (notificationType: string, threshold: number) => ({
    comparisonOperator: 'GREATER_THAN',
    notificationType,
    threshold,
    thresholdType: 'PERCENTAGE',
    subscriberEmailAddresses: [ENVIRONMENT.ALARM_EMAIL],
  })
  const wanted = {
    name: `${prefixOf(graph)}-eu-west-1`,
    budgetType: 'COST',
    timeUnit: 'MONTHLY',
    limitAmount: MONTHLY_BUDGET,
    limitUnit: 'USD',
    notifications: [notice('ACTUAL', 80), notice('FORECASTED', 100)],
  }
  return same('the budget', inputsOf(graph, BUDGET), MONTHLY_BUDGET ? [wanted] : [])
}

/** Kinds whose names AWS keeps once for all regions of an account, and the property that holds the name. */
const GLOBAL = {
  [BUDGET]: 'name',
  [ROLE]: 'name',
  'aws:iam/policy:Policy': 'name',
  'aws:cloudwatch/dashboard:Dashboard': 'dashboardName',
  'aws:s3/bucket:Bucket': 'bucket',
}

/** A second copy of a stage in another region must not find a name taken. SST ends names of roles at random. */
const namesByRegion: Rule = (graph) =>
  graph.resources
    .filter(({ type }) => type in GLOBAL || /^aws:cloudfront\//.test(type))
    .map(({ type, name, inputs }) => [name, inputs[GLOBAL[type as keyof typeof GLOBAL] ?? 'name']])
    .filter(([, given]) => given !== undefined && !/-eu-west-1\b|-[a-z]{8}$/.test(given))
    .map(([name, given]) => `${name} is called ${given} in every region`)

const dashboard: Rule = (graph) => {
  const boards = inputsOf(graph, 'aws:cloudwatch/dashboard:Dashboard')
  const body: string = boards[0]?.dashboardBody ?? ''
  const shows = [
    '"5xx"',
    '"Latency"',
    'Errors',
    'Throttles',
    'AlarmLines',
    'MailLate',
    'EndpointsDisabled',
    ...Object.keys(ATTACK_QUERIES),
    ...BUSINESS.map(([metric]) => metric),
    'MailsBounced',
    prefixOf(graph),
    `${prefixOf(graph)}-dead-letters`,
  ]
  return [
    ...same(
      'the dashboards',
      boards.map(({ dashboardName }) => dashboardName),
      [`${prefixOf(graph)}-eu-west-1`],
    ),
    ...shows.filter((one) => !body.includes(one)).map((one) => `The dashboard does not show ${one}`),
    ...same(
      'whether the dashboard begins with the business',
      body.indexOf('SignUps') < body.indexOf('"5xx"'),
      true,
    ),
  ]
}

const mail: Rule = (graph) => [
  ...same(
    'the identities of mail',
    inputsOf(graph, 'aws:sesv2/emailIdentity:EmailIdentity'),
    isMailOthers(graph) ? [] : [{ emailIdentity: 'mail.acme.io' }],
  ),
  ...same('the configuration sets of mail', inputsOf(graph, 'aws:sesv2/configurationSet:ConfigurationSet'), [
    {
      configurationSetName: prefixOf(graph),
      reputationOptions: { reputationMetricsEnabled: true },
      suppressionOptions: { suppressedReasons: ['BOUNCE', 'COMPLAINT'] },
      tags: { 'mail-domain': 'mail.acme.io', table: tableName(graph) },
    },
  ]),
  ...same('the events of mail', inputsOf(graph, DESTINATION), [
    {
      configurationSetName: prefixOf(graph),
      eventDestinationName: 'events',
      eventDestination: {
        enabled: true,
        matchingEventTypes: ['BOUNCE', 'COMPLAINT', 'REJECT'],
        eventBridgeDestination: { eventBusArn: arn('events', 'event-bus/default') },
      },
    },
  ]),
  ...expected
    .filter(({ needs }) => needs.includes('mail'))
    .flatMap(({ name }) =>
      same(
        `the sender and the name in ${name}`,
        ['MAIL_FROM', 'MAIL_CONFIGURATION_SET', 'APP_NAME'].map(
          (setting) => lambdaOf(graph, name)?.environment.variables[setting],
        ),
        ['"Acme, Inc." <no-reply@mail.acme.io>', prefixOf(graph), 'Acme'],
      ),
    ),
]

/** Checks what is told to everybody: nothing of it is secret. */
const told: Rule = (graph) =>
  expected
    .filter(({ needs }) => needs.includes('deployment'))
    .flatMap(({ name }) => {
      const { STRIPE_PUBLISHABLE_KEY, PAGE_SETTINGS } = lambdaOf(graph, name)?.environment.variables ?? {}
      return same(
        `what ${name} tells`,
        [/^pk_(test|live)_51NotReal$/.test(STRIPE_PUBLISHABLE_KEY), PAGE_SETTINGS],
        [true, '{"supportEmail":"no-reply@mail.acme.io"}'],
      )
    })

/** Checks that the stage has no value of the local stack, and no secret where none is needed. */
const nothingLocal: Rule = (graph) =>
  graph.resources.flatMap(({ name, inputs }) => {
    const text = JSON.stringify(inputs)
    const found =
      /Local0001|10ca110ca1|127\.0\.0\.1|localhost|AWS_ENDPOINT_URL|JWKS_URI|STRIPE_API_BASE|\.example\b/.exec(
        text,
      )
    return found ? [`${name} holds ${found[0]}`] : []
  })

const printed: Rule = (graph) => same('what to subscribe to', graph.outputs.stripeEvents, subscribedEvents)

/** Checks the number of resources of each kind, so that a new resource needs a rule. */
const counts: Rule = (graph) => {
  const keys = rows.flatMap(routesOf).length
  const fns = expected.length
  const [jobCount, subscriberCount] = [jobsOf(graph).length, Object.keys(subscribers).length]
  const should: Record<string, number> = {
    [LAMBDA]: fns,
    [ROLE]: fns + jobCount,
    [LOG_GROUP]: fns + 1,
    [ROUTE]: keys,
    [ALARM]: inputsOf(graph, ALARM).length,
    [FILTER]: inputsOf(graph, FILTER).length,
    [QUERY]: inputsOf(graph, QUERY).length,
    'aws:s3/bucketObjectv2:BucketObjectv2': fns + pageCount(graph),
    'aws:lambda/permission:Permission': keys + subscriberCount + 1 + TRIGGERS.length,
    'aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig': expected.filter(
      ({ background }) => background,
    ).length,
    'aws:apigatewayv2/api:Api': 1,
    'aws:apigatewayv2/stage:Stage': 1,
    'aws:apigatewayv2/authorizer:Authorizer': 1,
    'aws:apigatewayv2/integration:Integration': keys,
    'aws:dynamodb/table:Table': 1,
    'aws:kms/key:Key': 3,
    'aws:cognito/userPool:UserPool': 1,
    'aws:cognito/userPoolClient:UserPoolClient': 1,
    'aws:sesv2/emailIdentity:EmailIdentity': isMailOthers(graph) ? 0 : 1,
    'aws:sesv2/configurationSet:ConfigurationSet': 1,
    [DESTINATION]: 1,
    'aws:sqs/queue:Queue': 1,
    'aws:sqs/queuePolicy:QueuePolicy': 1,
    'aws:scheduler/schedule:Schedule': jobCount,
    [BUS]: 1,
    [ARCHIVE]: 1,
    'aws:cloudwatch/eventRule:EventRule': subscriberCount,
    'aws:cloudwatch/eventTarget:EventTarget': subscriberCount,
    'aws:cloudwatch/dashboard:Dashboard': 1,
    [BUDGET]: graph.environment.MONTHLY_BUDGET ? 1 : 0,
    'aws:sns/topic:Topic': 1,
    'aws:sns/topicSubscription:TopicSubscription': 1,
    'random:index/randomBytes:RandomBytes': 1,
    ...siteCounts(graph),
  }
  const made = graph.resources.filter(({ custom }) => custom)
  const kinds = new Set([...made.map(({ type }) => type), ...Object.keys(should)])
  return [...kinds].flatMap((type) =>
    same(`the number of ${type}`, all(graph, type).length, should[type] ?? 0),
  )
}

/** The rules, by the guarantee that each checks. */
export const rules: Record<string, Rule> = {
  'the deployment reports no error': ({ errors }) => errors,
  'the routes are those of the rows, no more and no fewer': routes,
  'each route reaches the function of its row': targets,
  'the authorizer protects every route of an account and no other': authorizers,
  'the stage is throttled, tighter where guessing or cost begins, and to nothing while it stands by':
    throttles,
  'jobs and the webhook have their own concurrency': concurrency,
  'only the configured origins may call from a browser': crossOrigin,
  'there is one function a row, job, subscriber and trigger, on Node 24 and arm64': functions,
  'a function is the bundle of its row, and linked to nothing': bundles,
  'a function’s environment has the settings that its needs read, and nothing else': environment,
  'a function has keys for what it does with the root secret, and nothing has the secret': keyrings,
  'everybody is told the publishable key and what pages show, and no secret': told,
  'a function has no permission beyond its needs': permissions,
  'a function reaches the partitions of the table that are its business': partitions,
  'IAM permits every call that functions made in the tests': everyCallIsAllowed,
  'every permission is used by a call that a function made in the tests': everyGrantIsUsed,
  'no permission has a wildcard': wildcards,
  'a role serves Lambda or the scheduler and has no managed policy': roles,
  'a scheduler’s role may call its job and send dead letters, and nothing else': schedulerRoles,
  'a function can be called from one source only': callers,
  'every log is JSON and expires': retention,
  'the access log contains nothing about a person': accessLog,
  'the table is on demand, encrypted with Bursar’s key, and has point-in-time recovery': table,
  'the user pool is a password vault with one confidential client': userPool,
  'production keeps its data until its protection is taken off, and other stages can be removed': protection,
  'jobs run on their schedules, and ticks do not pile up; a stage that stands by has none': schedules,
  'background functions but jobs retry and leave dead letters': retries,
  'events reach their subscribers, with retries and dead letters': events,
  'dead letters are kept for two weeks': deadLetters,
  'every failure has an alarm that sends mail': alarms,
  'an alarm’s mail says where to look': whereToLook,
  'log lines that a person must see are counted': logMetrics,
  'the queries for an attack and for operation are saved': savedQueries,
  'the dashboard shows the stage': dashboard,
  'what AWS names once for all regions has the region in its name': namesByRegion,
  'spending beyond the budget is mailed, if there is one': budget,
  'mail comes from the configured domain, and what bounces is reported': mail,
  'the deployment prints the events that an endpoint at Stripe subscribes to': printed,
  'the stage has no value of the local stack': nothingLocal,
  ...siteRules,
  'there are no other resources': counts,
}
