import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { CUSTOM_DOMAIN } from './environment.ts'
import { type Edit, graphOf, ROOT } from './graph.ts'
import { rules } from './rules.ts'

/**
 * Mistakes that are planted in the deployment and that the rules must find. Mistakes that do not hide one
 * another share a graph, because a graph takes seconds.
 */
interface Mistake {
  title: string
  edit: Edit
  /** Matches a sentence that one of the rules must report. */
  found: RegExp
}

const config = (from: string, to: string): Edit => ({ file: 'sst.config.ts', from, to })
const site = (from: string, to: string): Edit => ({ file: 'functions/deploy/site.ts', from, to })
const data = (from: string, to: string): Edit => ({ file: 'functions/deploy/functions.ts', from, to })
const alarms = (from: string, to: string): Edit => ({ file: 'functions/deploy/alarms.ts', from, to })
const grants = (from: string, to: string): Edit => ({
  file: 'functions/http/needs.ts',
  from,
  to,
})

const access = (from: string, to: string): Edit => ({ file: 'functions/deploy/permissions.ts', from, to })

/** An edit of what the code of a function can reach. */
function calls(name: string, from: string, to: string): Edit {
  const file = 'functions/deploy/calls.ts'
  const line =
    readFileSync(join(ROOT, file), 'utf8')
      .split('\n')
      .find((one) => one.includes(`'${name}': `)) ?? name
  return { file, from: line, to: line.replace(from, () => to) }
}

const lots: Mistake[][] = [
  [
    {
      title: 'a bucket that may be public',
      edit: config('restrictPublicBuckets: true,', 'restrictPublicBuckets: false,'),
      found:
        /^the lock aws:s3\/bucketPublicAccessBlock:BucketPublicAccessBlock is .*"restrictPublicBuckets":false/,
    },
    {
      title: 'a bucket that any distribution reads',
      edit: config('conditions: [ours],', ''),
      found: /^the policy of the bucket is \[\[\{"actions":\["s3:GetObject","s3:ListBucket"\],"principals"/,
    },
    {
      title: 'a bucket that stays when pages are switched off',
      edit: config('{ retainOnDelete: false },', '{},'),
      found: /^the bucket is .*true\]\]/,
    },
    {
      title: 'a path of the API that shows a page',
      edit: { file: 'functions/pages/site.ts', from: "  '/webhooks/*',\n", to: '' },
      found: /^path of the API: \/webhooks\/\?\* is missing$/,
    },
    {
      title: 'pages of the console that are sent to the API',
      edit: site("path.replaceAll('*', '?*')", "path.replace('/*/*', '/*')"),
      found: /^path of the API: \/console\/\* should not be there$/,
    },
    {
      title: 'the API over HTTP',
      edit: config("viewerProtocolPolicy: 'https-only',", "viewerProtocolPolicy: 'allow-all',"),
      found: /^what \/health gets is .*"viewerProtocolPolicy":"allow-all"/,
    },
    {
      title: 'answers of the API that are cached',
      edit: config('cachePolicyId: data.managed.notCached,', 'cachePolicyId: data.managed.cached,'),
      found: /^what \/health gets is .*"cachePolicyId":"658327ea/,
    },
    {
      title: 'refusals of the API that are kept',
      edit: config('errorCachingMinTtl: 0', 'errorCachingMinTtl: 10'),
      found: /^how long refusals are kept is /,
    },
    {
      title: 'pages without their headers',
      edit: config('        responseHeadersPolicyId: headers.id,\n', ''),
      found: /^what pages get is /,
    },
    {
      title: 'a header that is forgotten',
      edit: site('contentSecurityPolicy: { contentSecurityPolicy, override },', ''),
      found: /^the header content-security-policy is undefined/,
    },
    {
      title: 'a distribution that does not show its secret',
      edit: config('customHeaders: [{ name: data.edgeHeader, value: firstOf(values.EDGE_SECRET) }],', ''),
      found: /^the origins is /,
    },
    {
      title: 'the root secret itself at the edge',
      edit: config('secrets.rootSecret.apply(data.edgeSecretOf)', 'secrets.rootSecret'),
      found: /^the secret of the edge in bursar-production-v1-consume is /,
    },
    {
      title: 'old TLS',
      edit: config("minimumProtocolVersion: 'TLSv1.2_2021',", "minimumProtocolVersion: 'TLSv1',"),
      found: /^the distribution is .*"minimumProtocolVersion":"TLSv1"/,
    },
    {
      title: 'no firewall, though one is set',
      edit: config('...(site.webAcl && { webAclId: site.webAcl }),', ''),
      found: /^the distribution is /,
    },
    {
      title: 'the code of another function at the edge',
      edit: config(
        'code: data.edgeFunctionCode($cli.paths.root),',
        "code: 'function handler(event) { return event.request }',",
      ),
      found: /^the functions at the edge is /,
    },
  ],
  [
    {
      title: 'the authorizer dropped',
      edit: config("...(route.authorization === 'token' && { auth: { lambda: authorizer.id } }),", ''),
      found: /^authorization of GET \/v1\/user is \["NONE",null\]/,
    },
    {
      title: 'every action on each needed resource',
      edit: config(
        'actions: [...actions],',
        "actions: actions.map((action) => action.replace(/:.*/, ':*')),",
      ),
      found: /^V1LoginRole has the action dynamodb:\*$/,
    },
    {
      title: 'no separate throttle for routes where secrets can be guessed',
      edit: config('args.routeSettings = tightRoutes.map(', 'args.routeSettings = [].map('),
      found: /^tight throttle: POST \/v1\/auth\/login is missing$/,
    },
    {
      title: 'every origin allowed',
      edit: config('allowOrigins: [...settings.allowedOrigins],', "allowOrigins: ['*'],"),
      found: /^CORS is .*"allowOrigins":\["\*"\]/,
    },
    {
      title: 'ticks of a job that wait for hours',
      edit: config(
        'maximumRetryAttempts: 0, maximumEventAgeInSeconds: TICK_SECONDS }',
        'maximumRetryAttempts: 0 }',
      ),
      found: /^the schedules is /,
    },
    {
      title: 'logs that never expire',
      edit: config('retentionInDays: settings.production ? 90 : 7,', ''),
      found: /^retention of V1LoginLog, days is undefined/,
    },
    {
      title: 'a table that any deployment can delete',
      edit: config('deletionProtectionEnabled: settings.protected,', 'deletionProtectionEnabled: false,'),
      found: /^the table is .*"deletionProtectionEnabled":false/,
    },
    {
      title: 'Cognito’s default sign-in flows',
      edit: config(
        "explicitAuthFlows: ['ALLOW_ADMIN_USER_PASSWORD_AUTH', 'ALLOW_CUSTOM_AUTH', 'ALLOW_REFRESH_TOKEN_AUTH'],",
        '',
      ),
      found: /^the clients of the user pool is /,
    },
  ],
  [
    {
      title: 'no authorizer on routes that delete something',
      edit: data(
        'authorization: AUTHORIZATION[row.auth] }',
        "authorization: key.startsWith('DELETE') ? ('none' as const) : AUTHORIZATION[row.auth] }",
      ),
      found: /^authorization of DELETE \/v1\/keys\/\{id\} is \["NONE",null\]/,
    },
    {
      title: 'operators whom nobody checks',
      edit: config("...(route.authorization === 'iam' && { auth: { iam: true } }),", ''),
      found: /^authorization of GET \/ops\/read\/whoami is \["NONE",null\]/,
    },
    {
      title: 'a console that is open to anyone',
      edit: data("authorization: 'token' as const }", "authorization: 'none' as const }"),
      found: /^authorization of POST \/console\/admin\/operators is \["NONE",null\]/,
    },
    {
      title: 'the whole table with its backups, streams and every index',
      edit: config('table: [stores.table.arn],', "table: [stores.table.arn.apply((arn) => arn + '*')],"),
      found: /^V1LoginRole has the resource arn:aws:dynamodb:.*:table\/bursar-production\*$/,
    },
    {
      title: 'an endpoint that is disabled with a word about money',
      edit: alarms("? ('EndpointsDisabled' as const)", "? ('AlarmLines' as const)"),
      found: /^log metric: \S+jobs-deliver-events .* AlarmLines 1 should not be there$/,
    },
    {
      title: 'throttles of an index that nobody hears of',
      edit: config('...Object.keys(data.tableDefinition.indexes).map(', '...[].map('),
      found:
        /^alarm: TableThrottles: the sum of AWS\/DynamoDB ReadThrottleEvents TableName=bursar-production Sum 300, AWS\/DynamoDB WriteThrottleEvents .* should not be there$/,
    },
    {
      title: 'a scan',
      edit: grants("list: toTable('Query'),", "list: [...toTable('Query'), ...toTable('Scan')],"),
      found: /^permission of v1-login: dynamodb:Scan on .* should not be there$/,
    },
    {
      title: 'a port without its permission',
      edit: grants("remove: toPool('AdminDeleteUser'),", ''),
      found: /^jobs-sweep may not call cognito-idp:AdminDeleteUser on .*: ImplicitlyDenied$/,
    },
    {
      title: 'a call that a function makes without its permission',
      edit: calls('v1-refresh', 'table.update', 'table.put'),
      found: /^v1-refresh may not call dynamodb:UpdateItem on .* ACCOUNT#69a0c3: ImplicitlyDenied$/,
    },
    {
      title: 'a partition that a function asks for without its permission',
      edit: calls('v1-register', 'USERNAME#*', 'TOTALS'),
      found: /^v1-register may not call dynamodb:\w+ on .* USERNAME#69a0c3: ImplicitlyDenied$/,
    },
    {
      title: 'passwords that the end of a session could set',
      edit: calls('v1-logout', "methods: '", "methods: 'identity.setPassword "),
      found: /^permission of v1-logout: cognito-idp:AdminSetUserPassword on \S+ should not be there$/,
    },
    {
      title: 'a permission that no call uses',
      edit: calls('v1-end-session', "methods: '", "methods: 'table.remove "),
      found: /^v1-end-session may call dynamodb:DeleteItem, and no test's call does$/,
    },
    {
      title: 'a table’s key that is used without DynamoDB',
      edit: access("values: ['<dynamodb>'],", "values: ['dynamodb.us-east-1.amazonaws.com'],"),
      found: /^v1-login may not call kms:Decrypt on .*TableKey/,
    },
    {
      title: 'mail from any sender',
      edit: grants("on: ['mailIdentity'], when: [asOurSender]", "on: ['mailIdentity']"),
      found: /^permission of rest-create-user: ses:SendEmail on \S+ should not be there$/,
    },
    {
      title: 'a sender whose name is not quoted',
      edit: config('MAIL_FROM: settings.mailFrom,', 'MAIL_FROM: process.env.MAIL_FROM!,'),
      found: /^the sender and the name in rest-create-user is \["Acme, Inc\. </,
    },
    {
      title: 'every secret in every function',
      edit: grants(
        "table: {\n    settings: ['TABLE_NAME'],",
        "table: {\n    settings: ['TABLE_NAME', 'STRIPE_SECRET_KEY'],",
      ),
      found: /^environment of v1-get-user: STRIPE_SECRET_KEY should not be there$/,
    },
    {
      title: 'a secret that pages are told',
      edit: config(
        'STRIPE_PUBLISHABLE_KEY: settings.publishableKey,',
        'STRIPE_PUBLISHABLE_KEY: secrets.rootSecret,',
      ),
      found: /^what v1-get-config tells is \[false,/,
    },
    {
      title: 'roles that anything in the account may assume',
      edit: config(
        "assumeRolePolicy: aws.iam.assumeRolePolicyForPrincipal({ Service: 'lambda.amazonaws.com' }),",
        '',
      ),
      found: /^trust in V1LoginRole is /,
    },
    {
      title: 'SST’s own policy for logs, which covers all logs',
      edit: config('managedPolicyArns: [],', ''),
      found: /^managed policies of V1LoginRole is /,
    },
    {
      title: 'jobs that may overlap',
      edit: data('reserved: JOBS_AT_ONCE,', ''),
      found: /^reserved concurrency of jobs-sweep is undefined/,
    },
  ],
  [
    {
      title: 'requests to the table that name no partition',
      edit: access("{ test: 'Null', variable: LEADING_KEYS, values: ['false'] },", ''),
      found: /^the conditions of v1-login is /,
    },
    {
      title: 'credentials of services that any key could make',
      edit: calls('v1-consume', "reads: 'SERVICE#*', writes: '", "reads: '', writes: 'SERVICE#* "),
      found: /^v1-consume may change SERVICE#\*$/,
    },
    {
      title: 'a function that reaches every partition',
      edit: calls('v1-get-user', "reads: '", "reads: '* "),
      found: /^v1-get-user reaches the partitions \*$/,
    },
    {
      title: 'a route that has no row',
      edit: config(
        'routesMade(',
        "api.route('GET /debug', lambdaOf(functions, 'http-health').fn.arn, { name: 'Debug' })\n  routesMade(",
      ),
      found: /^route: GET \/debug should not be there$/,
    },
    {
      title: 'no throttle for the stage',
      edit: config(
        'throttlingRateLimit: throttle.ratePerSecond,\n          throttlingBurstLimit: throttle.burst,',
        '',
      ),
      found: /^the stage’s throttle is \[null,null\]/,
    },
    {
      title: 'settings of routes before the routes exist',
      edit: config('options.dependsOn = made', ''),
      found: /^The stage does not wait for GET \/v1\/user$/,
    },
    {
      title: 'paths with user names in the access log',
      edit: config(
        '"routeKey":"$context.routeKey",',
        '"routeKey":"$context.routeKey","path":"$context.path",',
      ),
      found: /^the access log is .*"path"/,
    },
    {
      title: 'an additional environment variable',
      edit: config('environment: Object.fromEntries(', "environment: Object.assign({ DEBUG: '1' }, "),
      found: /^environment of http-health: DEBUG should not be there$/,
    },
    {
      title: 'the code of another function',
      edit: config('data.bundleOf(deployed)', 'data.bundleOf(data.authorizer)'),
      found: /^the code of the functions is /,
    },
    {
      title: 'failed runs without a trace',
      edit: config("destinationConfig: { onFailure: { destination: arns.deadLetters[0] ?? '' } },", ''),
      found: /^retries and dead letters of background functions is /,
    },
    {
      title: 'a missing event in the subscriptions',
      edit: config(
        'stripeEvents: [...data.subscribedEvents],',
        'stripeEvents: data.subscribedEvents.slice(1),',
      ),
      found: /^what to subscribe to is \["payment_intent.amount_capturable_updated"/,
    },
    {
      title: 'a missing alarm',
      edit: config('  createLogMetrics(deployment, functions, watched.api)\n', ''),
      found: /^log metric: .* AlarmLines 1 is missing$/,
    },
    {
      title: 'a job whose absence nobody hears of',
      edit: alarms('    absence: true,\n', ''),
      found: /^what bursar-production-JobsSendMailAbsent does is /,
    },
    {
      title: 'a budget of which nobody hears',
      edit: config('subscriberEmailAddresses: [alarmEmail],', 'subscriberEmailAddresses: [],'),
      found: /^the budget is /,
    },
    {
      title: 'an additional alarm that the rules do not know',
      edit: alarms(
        '    ...ofMoney(prefix),\n',
        "    ...ofMoney(prefix),\n    { ...once, name: 'Noise', sentence: 'Noise.', metric: sum('logLines', 'Noise') },\n",
      ),
      found: /^alarm: Noise: .* should not be there$/,
    },
    {
      title: 'an alarm that does not say where the log is',
      edit: alarms('logGroupOf(prefix, name)}: a line', "'of its own'}: a line"),
      found: /^JobsSweepErrors does not name \/aws\/lambda\/bursar-production-jobs-sweep$/,
    },
    {
      title: 'an alarm that names an unknown log group',
      edit: alarms("logGroupOf(prefix, 'jobs-sweep')", "logGroupOf(prefix, 'jobs-reconcile')"),
      found: /^LedgerMismatch names \/aws\/lambda\/bursar-production-jobs-reconcile, which is not there$/,
    },
    {
      title: 'names that a stage in another region would find taken',
      edit: data('region: string): string =>', 'region: string): string => prefix ||'),
      found: /^PagesAccess is called bursar-production-pages in every region$/,
    },
    {
      title: 'a table in use that the next deployment does not know',
      edit: {
        file: 'functions/deploy/last-deployment.ts',
        from: '  table: restoredTable ?? ownTable,\n',
        to: '',
      },
      found: /^the configuration sets of mail is .*"tags":\{"mail-domain":"mail\.acme\.io"\}/,
    },
    {
      title: 'queries that are not saved',
      edit: config('  createQueries(deployment, functions, watched.api)\n', ''),
      found: /^saved query: bursar-production\/attack\/Refusals by source is missing$/,
    },
    {
      title: 'an alarm that names an unknown chart',
      edit: config("['Concurrency by function', [", "['Runs by function', ["),
      found: /^Throttles names the chart Concurrency by function, which is not there$/,
    },
    {
      title: 'throttled writes that are left out of the sum',
      edit: alarms(
        "sum('table', 'ReadThrottleEvents', 'WriteThrottleEvents')",
        "sum('table', 'ReadThrottleEvents')",
      ),
      found: /^alarm: TableThrottles: .* is missing$/,
    },
    {
      title: 'a sum that has no value while one of its parts has none',
      edit: config('=> `FILL($', '=> `SUM($'),
      found: /^alarm: VaultThrottles: SUM\(part0, 0\) \+ .* should not be there$/,
    },
    {
      title: 'new users whose throttles are looked for under the client of the pool',
      edit: config("metricName.startsWith('SignUp') ? 'Admin' : pool.client.id", 'pool.client.id'),
      found:
        /^alarm: VaultThrottles: .* SignUpThrottles UserPool=UserPool-id,UserPoolClient=UserPoolClient-id /,
    },
    {
      title: 'data that is deleted with the stage',
      edit: config(
        'protect: settings.protected, retainOnDelete: settings.protected })',
        'protect: false, retainOnDelete: false })',
      ),
      found: /^protected: aws:dynamodb\/table:Table Table is missing$/,
    },
    {
      title: 'a sender that goes with the stage that made it',
      edit: config('    { retainOnDelete: true },\n', ''),
      found: /^retained: aws:sesv2\/emailIdentity:EmailIdentity MailIdentity is missing$/,
    },
    {
      title: 'mails whose bounces nobody hears of',
      edit: config("matchingEventTypes: ['BOUNCE', 'COMPLAINT', 'REJECT'],", "matchingEventTypes: ['SEND'],"),
      found: /^the events of mail is .*"matchingEventTypes":\["SEND"\]/,
    },
    {
      title: 'events of SES from anybody, about mails of any stage',
      edit: config(
        "const pattern = { source: ['aws.ses'], detailType, detail: ofThisStage }",
        'const pattern = { detailType }',
      ),
      found: /^rule: default .*Email Bounced.* should not be there$/,
    },
    {
      title: 'an additional bucket',
      edit: config(
        "const bus = new sst.aws.Bus('Events')",
        "new aws.s3.Bucket('Extra')\n  const bus = new sst.aws.Bus('Events')",
      ),
      found: /^the number of aws:s3\/bucket:Bucket is 2 and should be 1$/,
    },
    {
      title: 'pages that the deployment forgets',
      edit: site(
        "isAsset: path.startsWith('/assets/'),\n      }\n    })",
        "isAsset: path.startsWith('/assets/'),\n      }\n    })\n    .filter(({ key }) => key !== 'console/index.html')",
      ),
      found: /^page: PagesBucket-id console\/index\.html text\/html; charset=utf-8 no-cache is missing$/,
    },
    {
      title: 'functions that answer past the distribution of a stage that is closed',
      edit: config("...(isBehindEdge ? [['API_ADDRESS', 'closed']] : []),", ''),
      found: /^environment of v1-consume: API_ADDRESS is missing$/,
    },
    {
      title: 'operators’ functions that answer the console past the distribution of such a stage',
      edit: data(
        'takesUnsigned: row.raw !== true,',
        "takesUnsigned: row.auth !== 'operator' && row.raw !== true,",
      ),
      found: /^environment of ops-whoami: API_ADDRESS is missing$/,
    },
    {
      title: 'a schedule that has no job',
      edit: data('every: job.every,', "every: job.file === 'sweep' ? 'rate(1 day)' : job.every,"),
      found: /^the schedules is .*rate\(1 day\)/,
    },
  ],
]

describe.each(lots.map((lot, at) => [at + 1, lot] as const))('lot %i', async (_, lot) => {
  const graph = await graphOf({
    stage: 'production',
    environment: { ...CUSTOM_DOMAIN, MONTHLY_BUDGET: '200', API_ADDRESS: 'closed' },
    edits: lot.map(({ edit }) => edit),
  })
  const said = (await Promise.all(Object.values(rules).map((rule) => rule(graph)))).flat()

  test('the deployment reports no error itself', () => {
    expect(graph.errors).toEqual([])
  })

  test.each(lot)('$title is found', ({ found }) => {
    expect(said.filter((sentence) => found.test(sentence))).not.toEqual([])
  })
})

describe('a stage without pages that stands by', async () => {
  const mistakes = [
    {
      title: 'jobs that run beside those of the copy at work',
      edit: config('settings.standby ? [] : data.scheduled', 'data.scheduled'),
      found: /^the schedules is \[\{.* and should be \[\]$/,
    },
    {
      title: 'answers of two copies',
      edit: config(
        '? [data.standbyThrottle, data.standbyThrottle]',
        '? [data.throttle, data.standbyThrottle]',
      ),
      found: /^the stage’s throttle is \[2000,1000\] and should be \[0,0\]$/,
    },
    {
      title: 'alarms about jobs that must not run',
      edit: config('!(absence && settings.standby)', '!absence || true'),
      found: /^alarm: JobsSweepAbsent: .* should not be there$/,
    },
    {
      title: 'a key for everything in each function',
      edit: config(
        'data.keysTextOf(text, data.purposesOf(deployed))',
        'data.keysTextOf(text, data.purposesOf(data.functions.find(({ name }) => name === "v1-login")))',
      ),
      found: /^keyring of v1-consume: /,
    },
    {
      title: 'settings that whoever reads functions sees',
      edit: config('      function: { kmsKeyArn: settingsKey.arn },\n', ''),
      found: /^what encrypts the settings of v1-consume /,
    },
    {
      title: 'a secret that functions keep',
      edit: config(
        'const edgeSecret = settings.site && secrets.rootSecret',
        'const edgeSecret = secrets.rootSecret',
      ),
      found: /^environment of v1-consume: EDGE_SECRET should not be there$/,
    },
    {
      title: 'a bucket that is left',
      edit: config('if (!site) return {}\n', "if (!site) { new aws.s3.Bucket('PagesBucket'); return {} }\n"),
      found: /^aws:s3\/bucket:Bucket PagesBucket is there, and PAGES is off$/,
    },
  ]
  const graph = await graphOf({
    stage: 'dev-ada',
    environment: { PAGES: 'off', STANDBY: 'on' },
    edits: mistakes.map(({ edit }) => edit),
  })
  const said = (await Promise.all(Object.values(rules).map((rule) => rule(graph)))).flat()

  test.each(mistakes)('$title is found', ({ found }) => {
    expect(said.filter((sentence) => found.test(sentence))).not.toEqual([])
  })
})
