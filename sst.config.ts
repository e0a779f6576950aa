/// <reference path="./.sst/platform/config.d.ts" />

/**
 * The deployment. `functions/deploy/` turns the rows and jobs into data, such as names, permissions and
 * limits, and this file turns the data into AWS resources. `npm run check:infra` asserts the result.
 */
export default $config({
  async app(input) {
    const { isProtected, regionOf } = await import('./functions/deploy/settings.ts')
    const kept = isProtected(input.stage, process.env)
    return {
      name: 'bursar',
      home: 'aws',
      protect: kept,
      removal: kept ? 'retain' : 'remove',
      providers: { aws: { version: '7.20.0', ...regionOf(process.env) } },
    }
  },
  async run() {
    if ($dev) throw new Error('sst dev would grant the functions more than they need. Use npm run dev.')
    const data = await load()
    const settings = data.settingsOf($app.stage, process.env)
    data.checkSecrets(settings, process.env)
    const { region } = await aws.getRegion()
    const base = { data, settings, region, prefix: `${$app.name}-${settings.stage}` }
    const warning = await compareWithLastDeployment(base)
    await build(settings)
    const stores = createStores(base)
    const secrets = { rootSecret: new sst.Secret('RootSecret').value, settingsKey: stores.settingsKey }
    const pool = createUserPool(base, secrets)
    const mail = createMail(base)
    const deadLetters = createDeadLetters(base)
    const bus = createBus(base)
    const edgeSecret = settings.site && secrets.rootSecret.apply(data.edgeSecretOf)
    const deployment: Deployment = {
      ...base,
      ...secrets,
      arns: {
        table: [stores.table.arn],
        dueIndex: [$interpolate`${stores.table.arn}/index/${data.DUE_INDEX}`],
        listedIndex: [$interpolate`${stores.table.arn}/index/${data.LISTED_INDEX}`],
        tableKey: [stores.tableKey.arn],
        userPool: [pool.pool.arn],
        secretsKey: [stores.secretsKey.arn],
        mailIdentity: mail.arns,
        mailConfigurationSet: [mail.configurationSet.arn],
        deadLetters: [deadLetters.arn],
        eventBus: [bus.arn],
        renewalFunction: [arnHere(base, 'lambda', `function:${base.prefix}-${data.renewalFunction}`)],
      },
      values: {
        TABLE_NAME: stores.table.name,
        USER_POOL_ID: pool.pool.id,
        USER_POOL_CLIENT_ID: pool.client.id,
        USER_POOL_CLIENT_SECRET: pool.client.clientSecret,
        MAIL_FROM: settings.mailFrom,
        MAIL_CONFIGURATION_SET: mail.configurationSet.configurationSetName,
        APP_URL: settings.appUrl,
        APP_NAME: settings.appName,
        KMS_KEY_ID: stores.secretsKey.arn,
        RENEWAL_FUNCTION: `${base.prefix}-${data.renewalFunction}`,
        EVENT_BUS: bus.name,
        ...(edgeSecret && { EDGE_SECRET: edgeSecret }),
        ...(settings.challengeKey !== undefined && {
          TURNSTILE_SITE_KEY: settings.challengeKey,
          TURNSTILE_SECRET_KEY: new sst.Secret('TurnstileSecretKey').value,
        }),
        STAGE: settings.stage,
        STRIPE_PUBLISHABLE_KEY: settings.publishableKey,
        PAGE_SETTINGS: settings.pageSettings,
        STRIPE_SECRET_KEY: new sst.Secret('StripeSecretKey').value,
        STRIPE_WEBHOOK_SECRETS: new sst.Secret('StripeWebhookSecrets').value,
      },
    }
    const functions = new Map([
      [data.preToken.name, pool.preToken],
      [data.customAuth.name, pool.customAuth],
    ])
    for (const deployed of data.functions) {
      if (!functions.has(deployed.name)) functions.set(deployed.name, createFunction(deployment, deployed))
    }
    const api = createApi(deployment, functions)
    createWork(deployment, functions, { bus, deadLetters, mail })
    createAlarms(deployment, functions, { api, table: stores.table, deadLetters, pool })
    const site = createSite(deployment, api)
    return {
      api: api.url,
      ...site,
      events: bus.name,
      userPool: pool.pool.id,
      table: stores.table.name,
      mailDns: mail.dns,
      ...(warning !== undefined && { warning }),
      stripeEvents: [...data.subscribedEvents],
    }
  },
})

/**
 * The deployment's data, as the modules export them. SST allows imports in this file only inside a function.
 */
async function load() {
  return {
    ...(await import('./functions/deploy/functions.ts')),
    ...(await import('./functions/deploy/alarms.ts')),
    ...(await import('./functions/deploy/attack.ts')),
    ...(await import('./functions/deploy/business.ts')),
    ...(await import('./functions/deploy/queries.ts')),
    ...(await import('./functions/deploy/permissions.ts')),
    ...(await import('./functions/deploy/settings.ts')),
    ...(await import('./functions/deploy/last-deployment.ts')),
    ...(await import('./functions/deploy/root-secret.ts')),
    ...(await import('./functions/deploy/site.ts')),
    ...(await import('./functions/deploy/bundle.ts')),
    ...(await import('./core/table/definition.ts')),
    ...(await import('./core/webhooks/event-types.ts')),
    ...(await import('./functions/http/cors.ts')),
  }
}

/** Builds the code of the functions and the pages, for the commands that upload them. */
async function build({ site }: Settings): Promise<void> {
  if (!['deploy', 'diff', 'refresh'].includes($cli.command)) return
  const { execFileSync } = await import('node:child_process')
  execFileSync('npm', ['run', '--silent', 'bundle'], { stdio: 'inherit' })
  if (site) execFileSync('npm', ['run', '--silent', 'pages'], { stdio: 'inherit' })
}

type Data = Awaited<ReturnType<typeof load>>
type Settings = ReturnType<Data['settingsOf']>
type Deployed = Data['functions'][number]
type Setting = ReturnType<Data['environmentOf']>[number]
type Grant = ReturnType<Data['grantsOf']>[number]
type Alarm = ReturnType<Data['alarmsOf']>[number]
type Chart = Data['attackCharts'][number]
type PageFile = ReturnType<Data['pageFiles']>[number]

interface Base {
  data: Data
  settings: Settings
  /** The beginning of the names that people see on AWS. */
  prefix: string
  region: string
}

interface Secrets {
  /** From which each function gets the keys for its purposes, and nothing else. */
  rootSecret: $util.Output<string>
  /** Encrypts what functions have in their environment. */
  settingsKey: aws.kms.Key
}

interface Deployment extends Base, Secrets {
  arns: Record<Grant['on'][number], $util.Input<string>[]>
  /** The secret of the distribution is there if the distribution is, and the keys of Turnstile if it is in use. */
  values: Record<Exclude<Setting, 'KEYRING'>, $util.Input<string>> &
    Partial<Record<'EDGE_SECRET' | (typeof CHALLENGE)[number], $util.Input<string>>>
}

interface Lambda {
  fn: sst.aws.Function
  log: aws.cloudwatch.LogGroup
}

/** The settings of functions that may ask people to show that they are no program. */
const CHALLENGE = ['TURNSTILE_SITE_KEY', 'TURNSTILE_SECRET_KEY'] as const

const DAY_SECONDS = 86_400
const NODE = 'nodejs24.x'
/** How long a job's tick may wait for its run: AWS takes no less. */
const TICK_SECONDS = 60

/**
 * Options of resources with data: in production no deployment deletes them, until one with `PROTECTION=off` has taken
 * that off: Pulumi refuses to delete what is protected, whatever else it is told.
 */
const kept = (settings: Settings) => ({ protect: settings.protected, retainOnDelete: settings.protected })

function createStores({ data, settings, prefix }: Base) {
  const key = (name: string, description: string, options: $util.CustomResourceOptions = kept(settings)) =>
    new aws.kms.Key(
      name,
      {
        description: `${prefix}: ${description}`,
        enableKeyRotation: true,
        deletionWindowInDays: settings.production ? 30 : 7,
      },
      options,
    )
  const tableKey = key('TableKey', 'the table')
  const { attributes, primary, indexes, ttlAttribute } = data.tableDefinition
  const made = new aws.dynamodb.Table(
    'Table',
    {
      name: prefix,
      billingMode: 'PAY_PER_REQUEST',
      attributes: Object.entries(attributes).map(([name, type]) => ({ name, type })),
      ...primary,
      globalSecondaryIndexes: Object.entries(indexes).map(([name, { projection, ...index }]) => ({
        name,
        ...index,
        projectionType: projection,
      })),
      ttl: { attributeName: ttlAttribute, enabled: true },
      pointInTimeRecovery: { enabled: true },
      serverSideEncryption: { enabled: true, kmsKeyArn: tableKey.arn },
      deletionProtectionEnabled: settings.protected,
    },
    kept(settings),
  )
  // A table that was restored from a backup is used as it is, and the one that was made stays: in production nothing may
  // delete it, and it shows what was lost. An import would fail as long as one property of the restored table differs.
  const { name, arn } =
    settings.restoredTable === undefined || settings.restoredTable === prefix
      ? made
      : aws.dynamodb.getTableOutput({ name: settings.restoredTable })
  return {
    table: { name, arn },
    tableKey,
    secretsKey: key('SecretsKey', 'seeds of second factors'),
    // Whoever may read functions but not use this key does not see their settings.
    settingsKey: key('SettingsKey', 'settings of functions', {}),
  }
}

/**
 * The user pool stores passwords and nothing else: no sign-up, no hosted pages, no OAuth, no attribute in
 * use.
 */
function createUserPool(base: Base, secrets: Secrets) {
  const { data, settings, prefix } = base
  // The pool's own triggers exist before the pool. They need no ARN, and at most keys of the root secret.
  const early: Deployment = { ...base, ...secrets, arns: {} as never, values: {} as never }
  const preToken = createFunction(early, data.preToken)
  const customAuth = createFunction(early, data.customAuth)
  const pool = new aws.cognito.UserPool(
    'UserPool',
    {
      name: prefix,
      userPoolTier: 'ESSENTIALS',
      usernameConfiguration: { caseSensitive: true },
      adminCreateUserConfig: { allowAdminCreateUserOnly: true },
      accountRecoverySetting: { recoveryMechanisms: [{ name: 'admin_only', priority: 1 }] },
      mfaConfiguration: 'OFF',
      // Our own policy is stricter, and tells the user why a password is refused.
      passwordPolicy: {
        minimumLength: 8,
        requireLowercase: false,
        requireNumbers: false,
        requireSymbols: false,
        requireUppercase: false,
        temporaryPasswordValidityDays: 1,
      },
      lambdaConfig: {
        preTokenGenerationConfig: { lambdaArn: preToken.fn.arn, lambdaVersion: 'V2_0' },
        defineAuthChallenge: customAuth.fn.arn,
        createAuthChallenge: customAuth.fn.arn,
        verifyAuthChallengeResponse: customAuth.fn.arn,
      },
      deletionProtection: settings.protected ? 'ACTIVE' : 'INACTIVE',
    },
    kept(settings),
  )
  for (const [name, { fn }] of Object.entries({ PreToken: preToken, CustomAuth: customAuth })) {
    new aws.lambda.Permission(`UserPoolInvokes${name}`, {
      action: 'lambda:InvokeFunction',
      function: fn.name,
      principal: 'cognito-idp.amazonaws.com',
      sourceArn: pool.arn,
    })
  }
  const client = new aws.cognito.UserPoolClient(
    'UserPoolClient',
    {
      name: prefix,
      userPoolId: pool.id,
      generateSecret: true,
      // The custom flow gives tokens for an answer of ours alone: core/credentials/verified-sign-in.ts.
      explicitAuthFlows: ['ALLOW_ADMIN_USER_PASSWORD_AUTH', 'ALLOW_CUSTOM_AUTH', 'ALLOW_REFRESH_TOKEN_AUTH'],
      allowedOauthFlowsUserPoolClient: false,
      preventUserExistenceErrors: 'ENABLED',
      enableTokenRevocation: true,
      tokenValidityUnits: { accessToken: 'minutes', idToken: 'minutes', refreshToken: 'days' },
      accessTokenValidity: 15,
      idTokenValidity: 15,
      refreshTokenValidity: 30,
    },
    kept(settings),
  )
  return { pool, client, preToken, customAuth }
}

/** The ARN of something in the stage's account and region, which need not exist yet. */
const arnHere = ({ region }: Base, service: string, rest: string) =>
  $interpolate`arn:${aws.getPartitionOutput().partition}:${service}:${region}:${aws.getCallerIdentityOutput().accountId}:${rest}`

/** The bus to which SES sends its events: it knows no other one. */
const defaultBus = (base: Base) => arnHere(base, 'events', 'event-bus/default')

/**
 * Compares the settings with those of the last deployment, before anything changes.
 * @returns what the operator is told, at once and with the outputs
 * @throws Error with a sentence if the stage would silently go back to another table
 */
async function compareWithLastDeployment({ data, settings, prefix }: Base): Promise<string | undefined> {
  let unread: string | undefined
  const known = await aws.sesv2
    .getConfigurationSet({ configurationSetName: prefix })
    .catch((error: Error) => {
      unread = data.unreadTags(error)
      return undefined
    })
  const last = known?.tags ?? {}
  data.requireTable(last, settings, prefix)
  const warning = unread ?? data.mailDomainWarning(last, settings)
  if (warning !== undefined) process.stderr.write(`${warning}\n`)
  return warning
}

/**
 * The sender's domain at SES. The operator publishes the DKIM records, because any provider may host the
 * zone. The configuration set, which every mail names, reports what bounces, and keeps mail from addresses that
 * bounced or complained before.
 */
function createMail(base: Base) {
  const { data, settings, prefix } = base
  const { mailDomain, mailAddress, createMailIdentity } = settings
  const configurationSet = new aws.sesv2.ConfigurationSet('MailSet', {
    configurationSetName: prefix,
    tags: data.lastDeploymentTags(settings, prefix),
    reputationOptions: { reputationMetricsEnabled: true },
    suppressionOptions: { suppressedReasons: ['BOUNCE', 'COMPLAINT'] },
  })
  new aws.sesv2.ConfigurationSetEventDestination('MailEvents', {
    configurationSetName: configurationSet.configurationSetName,
    eventDestinationName: 'events',
    eventDestination: {
      enabled: true,
      matchingEventTypes: ['BOUNCE', 'COMPLAINT', 'REJECT'],
      eventBridgeDestination: { eventBusArn: defaultBus(base) },
    },
  })
  if (!createMailIdentity) {
    const arns = [mailDomain, mailAddress].map((name) => arnHere(base, 'ses', `identity/${name}`))
    return { configurationSet, arns, dns: [] }
  }
  // Other stages, and other programs of the account, send with the same identity, so it outlives this stage.
  const identity = new aws.sesv2.EmailIdentity(
    'MailIdentity',
    { emailIdentity: mailDomain },
    { retainOnDelete: true },
  )
  const dns = identity.dkimSigningAttributes.tokens.apply((tokens) =>
    tokens.map((token) => `${token}._domainkey.${mailDomain} CNAME ${token}.dkim.amazonses.com`),
  )
  return { configurationSet, arns: [identity.arn], dns }
}

/**
 * The bus for other systems. Its archive keeps events as long as the table can be restored to a point in time: what was
 * revoked since the backup is replayed from there.
 */
function createBus({ prefix }: Base) {
  const bus = new sst.aws.Bus('Events')
  new aws.cloudwatch.EventArchive('EventsArchive', {
    name: `${prefix}-events`,
    description: 'What Bursar has published: for a restore of the table',
    eventSourceArn: bus.arn,
    eventPattern: JSON.stringify({ source: ['bursar'] }),
    retentionDays: 35,
  })
  return bus
}

/**
 * Runs and events that failed at every attempt wait here for two weeks; their attributes name their origin.
 */
function createDeadLetters({ prefix }: Base) {
  return new aws.sqs.Queue('DeadLetters', {
    name: `${prefix}-dead-letters`,
    messageRetentionSeconds: 14 * DAY_SECONDS,
    sqsManagedSseEnabled: true,
  })
}

/**
 * The role may write the function's log and has the permissions of its `needs`. SST's wider managed policy is
 * removed.
 */
function createFunction(deployment: Deployment, deployed: Deployed): Lambda {
  const { data, settings, prefix, arns, values, settingsKey } = deployment
  const name = `${prefix}-${deployed.name}`
  const id = data.pascal(deployed.name)
  const { bundle, handler } = data.bundleOf(deployed)
  const log = new aws.cloudwatch.LogGroup(`${id}Log`, {
    name: data.logGroupOf(prefix, deployed.name),
    retentionInDays: settings.production ? 90 : 7,
  })
  const background = data.isBackground(deployed)
  const isJob = deployed.kind === 'job'
  const isBehindEdge = settings.site?.isApiOpen === false && data.isBehindEdge(deployed)
  const fn = new sst.aws.Function(id, {
    name,
    description: deployed.summary.slice(0, 256),
    handler,
    bundle: `${$cli.paths.root}/${bundle}`,
    runtime: NODE,
    architecture: 'arm64',
    memory: `${deployed.memoryMb} MB`,
    timeout: `${deployed.timeoutSeconds} seconds`,
    logging: { logGroup: log.name, format: 'json' },
    environment: Object.fromEntries([
      ...data
        .environmentOf(deployed)
        .map((setting) => [
          setting,
          setting === 'KEYRING' ? keyringOf(deployment, deployed) : values[setting],
        ]),
      ...(settings.sessionsSince && data.knowsRestores(deployed)
        ? [['SESSIONS_SINCE', settings.sessionsSince]]
        : []),
      ...(values.EDGE_SECRET && (isBehindEdge || data.seesCallers(deployed))
        ? [['EDGE_SECRET', values.EDGE_SECRET]]
        : []),
      ...(isBehindEdge ? [['API_ADDRESS', 'closed']] : []),
      ...(values.TURNSTILE_SITE_KEY && data.asksForAnswers(deployed)
        ? CHALLENGE.map((name) => [name, values[name]])
        : []),
    ]),
    permissions: [
      { actions: ['logs:CreateLogStream', 'logs:PutLogEvents'], resources: [$interpolate`${log.arn}:*`] },
      ...data.grantsOf(deployed).map((grant) => statement(deployment, grant)),
    ],
    ...(deployed.reserved !== undefined && { concurrency: { reserved: deployed.reserved } }),
    ...(background && { retries: isJob ? 0 : 2 }),
    transform: {
      function: { kmsKeyArn: settingsKey.arn },
      role: {
        // By default SST 4.17 lets the whole account assume the role, for `sst dev`.
        assumeRolePolicy: aws.iam.assumeRolePolicyForPrincipal({ Service: 'lambda.amazonaws.com' }),
        managedPolicyArns: [],
      },
      ...(background && {
        // The next tick does what a failed or refused one left, so ticks do not wait for each other.
        eventInvokeConfig: isJob
          ? { maximumEventAgeInSeconds: TICK_SECONDS }
          : {
              maximumEventAgeInSeconds: 3_600,
              destinationConfig: { onFailure: { destination: arns.deadLetters[0] ?? '' } },
            },
      }),
    },
  })
  return { fn, log }
}

/** The keys of the root secret for what the function's code does with them. */
const keyringOf = ({ data, rootSecret }: Deployment, deployed: Deployed) =>
  rootSecret.apply((text) => data.keysTextOf(text, data.purposesOf(deployed)))

function statement({ arns, settings, region }: Deployment, { actions, on, when = [] }: Grant) {
  const filled: Record<string, $util.Input<string>> = {
    '<dynamodb>': `dynamodb.${region}.amazonaws.com`,
    '<mailAddress>': settings.mailAddress,
  }
  return {
    actions: [...actions],
    resources: on.flatMap((resource) => arns[resource]),
    conditions: when.map(({ test, variable, values }) => ({
      test,
      variable,
      values: values.map((value) => filled[value] ?? value),
    })),
  }
}

/**
 * One line per request, even if no function gets it. Path, address and user agent are left out: they identify
 * people.
 */
const ACCESS_LOG =
  '{"requestId":"$context.requestId","at":"$context.requestTimeEpoch","routeKey":"$context.routeKey","status":$context.status,"ms":"$context.responseLatency","error":"$context.error.responseType","functionStatus":"$context.integration.status","functionMs":"$context.integration.latency"}'

function createApi({ data, settings, prefix }: Deployment, functions: Map<string, Lambda>) {
  const { cors, tightRoutes } = data
  const [throttle, tightThrottle] = settings.standby
    ? [data.standbyThrottle, data.standbyThrottle]
    : [data.throttle, data.tightThrottle]
  let routesMade: (routes: $util.Output<aws.apigatewayv2.Route>[]) => void = () => {}
  const made = new Promise<$util.Output<aws.apigatewayv2.Route>[]>((resolve) => {
    routesMade = resolve
  })
  const api = new sst.aws.ApiGatewayV2('Api', {
    cors: settings.allowedOrigins.length > 0 && {
      allowOrigins: [...settings.allowedOrigins],
      allowMethods: [...cors.methods],
      allowHeaders: [...cors.headers],
      exposeHeaders: [...cors.exposeHeaders],
      maxAge: `${cors.maxAgeSeconds} seconds`,
      allowCredentials: false,
    },
    accessLog: { retention: settings.production ? '3 months' : '1 week' },
    transform: {
      api: { name: prefix },
      stage(args, options) {
        args.accessLogSettings = $output(args.accessLogSettings).apply((log) => ({
          destinationArn: log?.destinationArn ?? '',
          format: ACCESS_LOG,
        }))
        args.defaultRouteSettings = {
          throttlingRateLimit: throttle.ratePerSecond,
          throttlingBurstLimit: throttle.burst,
        }
        args.routeSettings = tightRoutes.map((routeKey) => ({
          routeKey,
          throttlingRateLimit: tightThrottle.ratePerSecond,
          throttlingBurstLimit: tightThrottle.burst,
        }))
        // The gateway refuses settings for a route that does not exist yet.
        options.dependsOn = made
      },
    },
  })
  // The cached answer says only that a token is ours. The account gate checks its session on every request.
  const authorizer = api.addAuthorizer({
    name: 'AccessToken',
    lambda: { function: lambdaOf(functions, data.authorizer.name).fn.arn, ttl: '300 seconds' },
  })
  const routes = data.routes.map((route) =>
    api.route(route.key, lambdaOf(functions, route.function).fn.arn, {
      name: route.name,
      ...(route.authorization === 'token' && { auth: { lambda: authorizer.id } }),
      ...(route.authorization === 'iam' && { auth: { iam: true } }),
    }),
  )
  routesMade(routes.map((route) => route.nodes.route))
  return api
}

function lambdaOf(functions: Map<string, Lambda>, name: string): Lambda {
  const lambda = functions.get(name)
  if (!lambda) throw new Error(`There is no function ${name}.`)
  return lambda
}

/**
 * The domain of pages and API: a CloudFront distribution that shows the built files of a private bucket and passes the
 * API's paths on, uncached. `PAGES=off` leaves all of it out.
 * @returns what the deployment prints of it
 */
function createSite(deployment: Deployment, api: sst.aws.ApiGatewayV2) {
  const { data, settings, prefix, region } = deployment
  const { site } = settings
  if (!site) return {}
  const name = `${data.globalName(prefix, region)}-pages`
  const { bucket, files } = createPageFiles(deployment)
  const access = new aws.cloudfront.OriginAccessControl('PagesAccess', {
    name,
    originAccessControlOriginType: 's3',
    signingBehavior: 'always',
    signingProtocol: 'sigv4',
  })
  const headers = new aws.cloudfront.ResponseHeadersPolicy('PagesHeaders', {
    name,
    ...data.sitePolicy(settings.logoUrl, settings.challengeKey !== undefined),
  })
  const edge = new aws.cloudfront.Function('PagesPaths', {
    name,
    comment: 'Shows the file of each page',
    runtime: 'cloudfront-js-2.0',
    code: data.edgeFunctionCode($cli.paths.root),
    publish: true,
  })
  const toApi = {
    targetOriginId: 'api',
    viewerProtocolPolicy: 'https-only',
    allowedMethods: ['GET', 'HEAD', 'OPTIONS', 'PUT', 'POST', 'PATCH', 'DELETE'],
    cachedMethods: ['GET', 'HEAD'],
    cachePolicyId: data.managed.notCached,
    originRequestPolicyId: data.managed.allButHost,
    compress: true,
  }
  const distribution = new aws.cloudfront.Distribution(
    'Pages',
    {
      comment: prefix,
      enabled: true,
      isIpv6Enabled: true,
      httpVersion: 'http2and3',
      priceClass: 'PriceClass_All',
      ...(site.domain && { aliases: [site.domain.name] }),
      ...(site.webAcl && { webAclId: site.webAcl }),
      viewerCertificate: site.domain
        ? {
            acmCertificateArn: site.domain.certificate,
            sslSupportMethod: 'sni-only',
            minimumProtocolVersion: 'TLSv1.2_2021',
          }
        : { cloudfrontDefaultCertificate: true },
      origins: [
        {
          originId: 'pages',
          domainName: bucket.bucketRegionalDomainName,
          originAccessControlId: access.id,
        },
        apiOrigin(deployment, api),
      ],
      defaultCacheBehavior: {
        targetOriginId: 'pages',
        viewerProtocolPolicy: 'redirect-to-https',
        allowedMethods: ['GET', 'HEAD'],
        cachedMethods: ['GET', 'HEAD'],
        cachePolicyId: data.managed.cached,
        responseHeadersPolicyId: headers.id,
        functionAssociations: [{ eventType: 'viewer-request', functionArn: edge.arn }],
        compress: true,
      },
      orderedCacheBehaviors: data.apiPatterns.map((pathPattern) => ({ pathPattern, ...toApi })),
      customErrorResponses: data.refusals.map((errorCode) => ({ errorCode, errorCachingMinTtl: 0 })),
      restrictions: { geoRestriction: { restrictionType: 'none' } },
    },
    { dependsOn: files },
  )
  letOnlyDistributionRead(bucket, distribution)
  return {
    pages: $interpolate`https://${site.domain?.name ?? distribution.domainName}`,
    pagesDns: site.domain ? [$interpolate`${site.domain.name} CNAME ${distribution.domainName}`] : [],
  }
}

/** The first of texts with commas between. */
const firstOf = (texts: $util.Input<string> | undefined) =>
  $util.output(texts ?? '').apply((all) => all.split(',')[0] ?? '')

/** The API as the distribution asks it: with the value by which functions believe what it says of a caller. */
const apiOrigin = ({ data, values }: Deployment, api: sst.aws.ApiGatewayV2) => ({
  originId: 'api',
  domainName: api.nodes.api.apiEndpoint.apply((url) => new URL(url).hostname),
  customOriginConfig: {
    httpPort: 80,
    httpsPort: 443,
    originProtocolPolicy: 'https-only',
    originSslProtocols: ['TLSv1.2'],
  },
  customHeaders: [{ name: data.edgeHeader, value: firstOf(values.EDGE_SECRET) }],
})

/** The bucket of pages and the files in it. Nothing in it is anybody's data, so it goes when pages are switched off. */
function createPageFiles({ data, prefix }: Base) {
  const bucket = new aws.s3.Bucket(
    'PagesBucket',
    { bucketPrefix: `${prefix}-pages-`, forceDestroy: true },
    { retainOnDelete: false },
  )
  const locked = new aws.s3.BucketPublicAccessBlock('PagesNotPublic', {
    bucket: bucket.id,
    blockPublicAcls: true,
    blockPublicPolicy: true,
    ignorePublicAcls: true,
    restrictPublicBuckets: true,
  })
  new aws.s3.BucketOwnershipControls('PagesOwner', {
    bucket: bucket.id,
    rule: { objectOwnership: 'BucketOwnerEnforced' },
  })
  new aws.s3.BucketServerSideEncryptionConfiguration('PagesEncryption', {
    bucket: bucket.id,
    rules: [{ applyServerSideEncryptionByDefault: { sseAlgorithm: 'AES256' } }],
  })
  const upload = (dependsOn: $util.Resource[], retainOnDelete: boolean) => (file: PageFile) =>
    new aws.s3.BucketObjectv2(
      `Page/${file.key}`,
      {
        bucket: bucket.id,
        key: file.key,
        source: new $util.asset.FileAsset(file.source),
        contentType: file.contentType,
        cacheControl: file.cacheControl,
      },
      { dependsOn, retainOnDelete },
    )
  const [assets, pages] = [true, false].map((isAsset) =>
    data.pageFiles($cli.paths.root).filter((file) => file.isAsset === isAsset),
  )
  // A page that was loaded before a deployment asks for the assets of its time, so they stay; and a new page appears when
  // all its assets are there.
  const uploaded = (assets ?? []).map(upload([locked], true))
  return { bucket, files: [...uploaded, ...(pages ?? []).map(upload(uploaded, false))] }
}

/** Lets the distribution read the bucket over TLS, and nobody else. It may list, so that AWS answers 404 and not 403. */
function letOnlyDistributionRead(bucket: aws.s3.Bucket, distribution: aws.cloudfront.Distribution) {
  const resources = [bucket.arn, $interpolate`${bucket.arn}/*`]
  const ours = { test: 'StringEquals', variable: 'AWS:SourceArn', values: [distribution.arn] }
  new aws.s3.BucketPolicy('PagesPolicy', {
    bucket: bucket.id,
    policy: aws.iam.getPolicyDocumentOutput({
      statements: [
        {
          principals: [{ type: 'Service', identifiers: ['cloudfront.amazonaws.com'] }],
          actions: ['s3:GetObject', 's3:ListBucket'],
          resources,
          conditions: [ours],
        },
        {
          effect: 'Deny',
          principals: [{ type: '*', identifiers: ['*'] }],
          actions: ['s3:*'],
          resources,
          conditions: [{ test: 'Bool', variable: 'aws:SecureTransport', values: ['false'] }],
        },
      ],
    }).json,
  })
}

/** The schedules of jobs, the events that other systems send us on the bus, and what SES sends us. */
function createWork(
  deployment: Deployment,
  functions: Map<string, Lambda>,
  {
    bus,
    deadLetters,
    mail,
  }: { bus: sst.aws.Bus; deadLetters: aws.sqs.Queue; mail: ReturnType<typeof createMail> },
) {
  const { data, settings } = deployment
  for (const job of settings.standby ? [] : data.scheduled) {
    new sst.aws.CronV2(data.pascal(`${job.name}-schedule`), {
      function: lambdaOf(functions, job.name).fn,
      schedule: job.every,
      retries: 0,
      transform: {
        schedule(args) {
          args.target = $output(args.target).apply((target) => ({
            ...target,
            retryPolicy: { maximumRetryAttempts: 0, maximumEventAgeInSeconds: TICK_SECONDS },
          }))
        },
      },
    })
  }
  // Other stages of the account send their mails' events to the same bus.
  const ofThisStage = {
    mail: { tags: { 'ses:configuration-set': [mail.configurationSet.configurationSetName] } },
  }
  const rules = data.subscribed.map((subscriber) => {
    const { fn } = lambdaOf(functions, subscriber.name)
    const name = data.pascal(subscriber.name)
    const detailType = [...subscriber.detailTypes]
    const transform = {
      target: {
        retryPolicy: { maximumEventAgeInSeconds: DAY_SECONDS, maximumRetryAttempts: 20 },
        deadLetterConfig: { arn: deadLetters.arn },
      },
    }
    if (subscriber.from === 'archive') {
      // EventBridge marks what it replays, and nobody else can, so that the function never runs otherwise.
      const pattern = { 'detail-type': detailType, source: ['bursar'], 'replay-name': [{ exists: true }] }
      const rule = { eventPattern: JSON.stringify(pattern) }
      return bus.subscribe(name, fn, { transform: { ...transform, rule } })
    }
    if (subscriber.from === 'other-systems')
      return bus.subscribe(name, fn, { pattern: { detailType }, transform })
    const pattern = { source: ['aws.ses'], detailType, detail: ofThisStage }
    return sst.aws.Bus.subscribe(name, defaultBus(deployment), fn, { pattern, transform })
  })
  new aws.sqs.QueuePolicy('DeadLettersPolicy', {
    queueUrl: deadLetters.url,
    policy: aws.iam.getPolicyDocumentOutput({
      statements: [
        {
          principals: [{ type: 'Service', identifiers: ['events.amazonaws.com'] }],
          actions: ['sqs:SendMessage'],
          resources: [deadLetters.arn],
          conditions: [
            {
              test: 'ArnEquals',
              variable: 'aws:SourceArn',
              values: rules.map((rule) => rule.nodes.rule.arn),
            },
          ],
        },
      ],
    }).json,
  })
}

interface Watched {
  api: sst.aws.ApiGatewayV2
  table: ReturnType<typeof createStores>['table']
  deadLetters: aws.sqs.Queue
  pool: ReturnType<typeof createUserPool>
}

/** Alarms are mailed to one address. Missing data raises an alarm only where something has to be counted all the time. */
function createAlarms(deployment: Deployment, functions: Map<string, Lambda>, watched: Watched) {
  const { data, settings, prefix, region } = deployment
  const topic = new aws.sns.Topic('Alarms', { name: `${prefix}-alarms` })
  new aws.sns.TopicSubscription('AlarmMail', {
    topic: topic.arn,
    protocol: 'email',
    endpoint: settings.alarmEmail,
  })
  const alarms = data.alarmsOf(prefix, region).filter(({ absence }) => !(absence && settings.standby))
  for (const alarm of alarms) {
    new aws.cloudwatch.MetricAlarm(`${alarm.name}Alarm`, {
      name: `${prefix}-${alarm.name}`,
      alarmDescription: alarm.sentence,
      comparisonOperator: alarm.absence ? 'LessThanThreshold' : 'GreaterThanOrEqualToThreshold',
      threshold: alarm.threshold,
      ...measured(alarm, (name) => sourcesOf(alarm.metric.of, name, deployment, functions, watched)),
      treatMissingData: alarm.absence ? 'breaching' : 'notBreaching',
      alarmActions: [topic.arn],
      okActions: [topic.arn],
    })
  }
  createBudget(deployment)
  createLogMetrics(deployment, functions, watched.api)
  createQueries(deployment, functions, watched.api)
  createDashboard(deployment, watched)
}

/** AWS mails what the whole account costs when it nears what it may. Its costs are known some hours late. */
function createBudget({ data, settings, prefix, region }: Deployment) {
  const { monthlyBudget, alarmEmail } = settings
  if (monthlyBudget === undefined) return
  const notice = (notificationType: string, threshold: number) => ({
    comparisonOperator: 'GREATER_THAN',
    notificationType,
    threshold,
    thresholdType: 'PERCENTAGE',
    subscriberEmailAddresses: [alarmEmail],
  })
  new aws.budgets.Budget('Budget', {
    name: data.globalName(prefix, region),
    budgetType: 'COST',
    timeUnit: 'MONTHLY',
    limitAmount: String(monthlyBudget),
    limitUnit: 'USD',
    notifications: [notice('ACTUAL', 80), notice('FORECASTED', 100)],
  })
}

interface Source {
  namespace: string
  dimensions?: Record<string, $util.Input<string>>
}

/** Where CloudWatch keeps a metric of this name: in one place, or in several, which count different things. */
function sourcesOf(
  of: Alarm['metric']['of'],
  metricName: string,
  { data, settings }: Deployment,
  functions: Map<string, Lambda>,
  { api, table, deadLetters, pool }: Watched,
): Source[] {
  if (typeof of === 'object') {
    const dimensions = { FunctionName: lambdaOf(functions, of.function).fn.name }
    return [{ namespace: 'AWS/Lambda', dimensions }]
  }
  // Cognito counts a user whom AdminCreateUser makes under this name, whatever client the pool has.
  const client = metricName.startsWith('SignUp') ? 'Admin' : pool.client.id
  const ofTable = (index: { GlobalSecondaryIndexName?: string }): Source => ({
    namespace: 'AWS/DynamoDB',
    dimensions: { TableName: table.name, ...index },
  })
  const sources: Record<typeof of, Source[]> = {
    api: [{ namespace: 'AWS/ApiGateway', dimensions: { ApiId: api.nodes.api.id } }],
    userPool: [{ namespace: 'AWS/Cognito', dimensions: { UserPool: pool.pool.id, UserPoolClient: client } }],
    table: [
      ofTable({}),
      ...Object.keys(data.tableDefinition.indexes).map((GlobalSecondaryIndexName) =>
        ofTable({ GlobalSecondaryIndexName }),
      ),
    ],
    deadLetters: [{ namespace: 'AWS/SQS', dimensions: { QueueName: deadLetters.name } }],
    logLines: [{ namespace: `Bursar/${settings.stage}` }],
    mail: [{ namespace: 'AWS/SES' }],
  }
  return sources[of]
}

/** How many periods more a sum looks back: `FILL` makes a 0 of a newest period whose data has not arrived yet. */
const LATE_PERIODS = 2

/** What an alarm watches, and for how long: one metric, or the sum of several. */
function measured(
  { metric, periodSeconds, periods }: Alarm,
  sourcesOfMetric: (name: string) => Source[],
): Pick<aws.cloudwatch.MetricAlarmArgs, 'evaluationPeriods'> & Partial<aws.cloudwatch.MetricAlarmArgs> {
  const { names, statistic } = metric
  const metrics = names.flatMap((metricName) =>
    sourcesOfMetric(metricName).map((source) => ({ ...source, metricName, period: periodSeconds })),
  )
  const [only] = metrics
  if (only && metrics.length === 1) {
    // With few requests the slowest one would decide.
    return statistic === 'p99'
      ? {
          ...only,
          evaluationPeriods: periods,
          extendedStatistic: statistic,
          evaluateLowSampleCountPercentiles: 'ignore',
        }
      : { ...only, evaluationPeriods: periods, statistic }
  }
  const parts = metrics.map((each, at) => ({ id: `part${at}`, metric: { ...each, stat: statistic } }))
  // A sum has no value where a part has none, and AWS publishes throttles only when something was throttled.
  const expression = parts.map(({ id }) => `FILL(${id}, 0)`).join(' + ')
  return {
    metricQueries: [{ id: 'sum', expression, label: names.join(' + '), returnData: true }, ...parts],
    evaluationPeriods: periods + LATE_PERIODS,
    datapointsToAlarm: periods,
  }
}

/** Metric filters count the log lines that alarms watch. */
function createLogMetrics(
  { data, settings }: Deployment,
  functions: Map<string, Lambda>,
  api: sst.aws.ApiGatewayV2,
) {
  for (const { name, metric, pattern, log, value = '1' } of data.countedLines) {
    const group = log === 'access' ? api.nodes.logGroup : lambdaOf(functions, log.function).log
    new aws.cloudwatch.LogMetricFilter(name, {
      logGroupName: group.name,
      pattern,
      metricTransformation: { namespace: `Bursar/${settings.stage}`, name: metric, value },
    })
  }
}

/** Queries of CloudWatch Logs Insights that are saved, so that nobody writes one while an attack is on. */
function createQueries(
  { data, prefix }: Deployment,
  functions: Map<string, Lambda>,
  api: sst.aws.ApiGatewayV2,
) {
  for (const { name, logs, query } of data.queriesOf(prefix)) {
    const groups =
      logs === 'access'
        ? [api.nodes.logGroup]
        : logs === 'chosen'
          ? []
          : logs.map((each) => lambdaOf(functions, each).log)
    const id = data.pascal((name.split('/').at(-1) ?? '').toLowerCase().replaceAll(' ', '-'))
    new aws.cloudwatch.QueryDefinition(`${id}Query`, {
      name,
      ...(groups.length > 0 && { logGroupNames: groups.map((group) => group.name) }),
      queryString: query,
    })
  }
}

function createDashboard(
  { data, settings, prefix, region }: Deployment,
  { api, table, deadLetters }: Watched,
) {
  // Without quotes, SEARCH finds every function whose name contains these words.
  const functions = `{AWS/Lambda,FunctionName} ${prefix.replaceAll('-', ' ')}`
  const searched = (metric: string, stat: string) => [
    { expression: `SEARCH('${functions} MetricName="${metric}"', '${stat}', 300)`, id: metric.toLowerCase() },
  ]
  const ofLines = ([title, metrics]: Chart): [string, unknown[]] => [
    title,
    metrics.map((metric) => [`Bursar/${settings.stage}`, metric]),
  ]
  const charts = $util
    .all([api.nodes.api.id, table.name, deadLetters.name])
    .apply(([apiId, tableName, queueName]): [string, unknown[]][] => [
      ...data.businessCharts.map(ofLines),
      ['Requests', ['Count', '4xx', '5xx'].map((metric) => ['AWS/ApiGateway', metric, 'ApiId', apiId])],
      [
        'Latency, ms (p50, p99)',
        ['p50', 'p99'].map((stat) => ['AWS/ApiGateway', 'Latency', 'ApiId', apiId, { stat }]),
      ],
      ['Errors by function', [searched('Errors', 'Sum')]],
      ['Throttles by function', [searched('Throttles', 'Sum')]],
      ['Concurrency by function', [searched('ConcurrentExecutions', 'Maximum')]],
      [
        'Table: units used',
        ['ConsumedReadCapacityUnits', 'ConsumedWriteCapacityUnits'].map((metric) => [
          'AWS/DynamoDB',
          metric,
          'TableName',
          tableName,
        ]),
      ],
      [
        'Mail: rates of bounces and complaints',
        ['Reputation.BounceRate', 'Reputation.ComplaintRate'].map((metric) => [
          'AWS/SES',
          metric,
          { stat: 'Maximum' },
        ]),
      ],
      ['Dead letters', [['AWS/SQS', 'ApproximateNumberOfMessagesVisible', 'QueueName', queueName]]],
      ...data.attackCharts.map(ofLines),
      ofLines([
        'Lines of level alarm, webhook failures, failed payment work, late and left mail, failed events, disabled endpoints',
        [
          ...['AlarmLines', 'WebhookFailures', 'PaymentWorkFailed', 'MailLate', 'MailLeft', 'EventsFailed'],
          'EndpointsDisabled',
        ],
      ]),
    ])
  const dashboardBody = $jsonStringify({
    widgets: charts.apply((all) =>
      all.map(([title, metrics], at) => ({
        type: 'metric',
        x: (at % 2) * 12,
        y: Math.floor(at / 2) * 6,
        width: 12,
        height: 6,
        properties: { title, metrics, region, stat: 'Sum', period: 300 },
      })),
    ),
  })
  new aws.cloudwatch.Dashboard('Dashboard', {
    dashboardName: data.globalName(prefix, region),
    dashboardBody,
  })
}
