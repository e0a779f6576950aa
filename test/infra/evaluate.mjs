/**
 * Runs a bundled sst.config.ts against Pulumi's mocks and writes every requested resource into a file:
 * `node evaluate.mjs JOB.json`. The mocks imitate only the shapes of AWS's answers.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import { join, relative } from 'node:path'
import { pathToFileURL } from 'node:url'

const { bundle, platform, stage, root, work, output, dev, bySst } = JSON.parse(
  readFileSync(process.argv[2], 'utf8'),
)

const require = createRequire(join(platform, 'package.json'))
const pulumi = require('@pulumi/pulumi')
const settings = require('@pulumi/pulumi/runtime/settings')

const REGION = 'eu-west-1'
const ACCOUNT = '123456789012'
// Pulumi records a stack for every promise, which would take most of the time. Only messages are shown.
Error.stackTraceLimit = 0

const resources = []
const errors = []
const builds = {}
/** The outputs that the deployment prints, except values that only AWS knows. */
const outputs = {}

const arnOf = (service, path) => `arn:aws:${service}:${REGION}:${ACCOUNT}:${path}`

/**
 * The values that AWS would add to each kind of resource. An empty id or value would hide what depends on it.
 */
const answers = {
  'aws:lambda/function:Function': ({ name }) => ({
    arn: arnOf('lambda', `function:${name}`),
    invokeArn: arnOf('apigateway', `lambda:path/functions/${name}/invocations`),
    publish: false,
  }),
  'aws:kms/key:Key': (_, name) => ({ arn: arnOf('kms', `key/${name}`) }),
  'aws:dynamodb/table:Table': ({ name }) => ({ arn: arnOf('dynamodb', `table/${name}`) }),
  'aws:cloudwatch/eventBus:EventBus': ({ name }) => ({ arn: arnOf('events', `event-bus/${name}`) }),
  'aws:cloudwatch/logGroup:LogGroup': ({ name }) => ({ arn: arnOf('logs', `log-group:${name}`) }),
  'aws:sqs/queue:Queue': ({ name }) => ({
    arn: arnOf('sqs', name),
    url: `https://sqs.${REGION}.amazonaws.com/${ACCOUNT}/${name}`,
  }),
  'aws:apigatewayv2/api:Api': () => ({
    apiEndpoint: `https://api.execute-api.${REGION}.amazonaws.com`,
    executionArn: arnOf('execute-api', 'api'),
  }),
  'aws:cognito/userPool:UserPool': () => ({ arn: arnOf('cognito-idp', 'userpool/pool') }),
  'aws:cognito/userPoolClient:UserPoolClient': () => ({ clientSecret: 'the-client-secret' }),
  'aws:sesv2/emailIdentity:EmailIdentity': ({ emailIdentity }) => ({
    arn: arnOf('ses', `identity/${emailIdentity}`),
    dkimSigningAttributes: { tokens: ['a', 'b', 'c'] },
  }),
  'aws:sesv2/configurationSet:ConfigurationSet': ({ configurationSetName }) => ({
    arn: arnOf('ses', `configuration-set/${configurationSetName}`),
  }),
  'aws:s3/bucket:Bucket': () => ({
    arn: arnOf('s3', 'PagesBucket'),
    bucketRegionalDomainName: `pages-bucket.s3.${REGION}.amazonaws.com`,
  }),
  'aws:cloudfront/distribution:Distribution': () => ({
    arn: arnOf('cloudfront', 'Pages'),
    domainName: 'd111111abcdef8.cloudfront.net',
  }),
  'random:index/randomBytes:RandomBytes': () => ({ base64: Buffer.alloc(32, 7).toString('base64') }),
}

const functions = {
  'aws:index/getRegion:getRegion': () => ({ region: REGION, id: REGION }),
  'aws:index/getCallerIdentity:getCallerIdentity': () => ({ accountId: ACCOUNT }),
  'aws:index/getPartition:getPartition': () => ({ partition: 'aws' }),
  'aws:dynamodb/getTable:getTable': ({ name }) => ({ name, arn: arnOf('dynamodb', `table/${name}`) }),
  // What the last deployment has left, if the test says that there was one. The errors are worded as those of the provider.
  'aws:sesv2/getConfigurationSet:getConfigurationSet': ({ configurationSetName }) => {
    const { DEPLOYED_TAGS } = process.env
    if (DEPLOYED_TAGS?.startsWith('{')) return { tags: JSON.parse(DEPLOYED_TAGS) }
    const why = DEPLOYED_TAGS || "couldn't find resource"
    const details = `Invocation of aws:sesv2/getConfigurationSet:getConfigurationSet returned an error: 1 error occurred:
\t* reading SESV2 (Simple Email V2) Configuration Set Data Source (${configurationSetName}): ${why}\n\n`
    throw Object.assign(new Error(details), { details })
  },
  'aws:iam/getPolicyDocument:getPolicyDocument': ({ statements }) => ({
    statements,
    json: JSON.stringify(statements),
  }),
}

const mocks = {
  newResource({ type, name, inputs }) {
    const known = answers[type]?.(plain(inputs), name) ?? {
      arn: arnOf(type.split(':')[1].split('/')[0], name),
    }
    const id = `${name}-id`
    return { id, state: { name, id, ...inputs, ...known } }
  },
  call({ token, inputs }) {
    const answer = functions[token]
    if (!answer) throw new Error(`No mock for ${token}`)
    return answer(plain(inputs))
  },
}

/** The key with which Pulumi marks a wrapped secret; `plain` replaces the secret by its value. */
const SECRET = '4dabf18193072939515e22adb298388d'
function plain(value) {
  if (Array.isArray(value)) return value.map(plain)
  if (value === null || typeof value !== 'object') return value
  if (value[SECRET]) return plain(value.value)
  if (value instanceof pulumi.asset.Archive || value instanceof pulumi.asset.Asset) return 'asset'
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plain(inner)]))
}

/** Records a resource's options from the request, because Pulumi passes no options to the mocks. */
function watch(monitor) {
  const { registerResource } = monitor
  const { newResource } = monitor.mocks
  let current
  monitor.mocks.newResource = async (args) => {
    current(args)
    return newResource(args)
  }
  monitor.registerResource = (request, callback) => {
    current = (args) =>
      resources.push({
        urn: monitor.newUrn(request.getParent(), request.getType(), request.getName()),
        type: args.type,
        name: args.name,
        custom: args.custom,
        inputs: plain(args.inputs),
        protect: request.getProtect() === true,
        retain: request.getRetainondelete() === true,
        dependsOn: request.getDependenciesList(),
      })
    return registerResource.call(monitor, request, callback)
  }
}

/** The answers of the SST CLI to the program. */
const rpc = {
  'Provider.Aws.Bootstrap': () => ({ asset: 'assets', state: 'state' }),
  'Runtime.Build': ({ functionID, handler, bundle, links }) => {
    builds[functionID] = { handler, bundle: relative(root, bundle), links }
    return { handler, out: bundle, errors: [], sourcemaps: [] }
  },
}

const server = createServer((request, response) => {
  const chunks = []
  request.on('data', (chunk) => chunks.push(chunk))
  request.on('end', () => {
    const { method, params } = JSON.parse(Buffer.concat(chunks).toString())
    const result = rpc[method] ? { result: rpc[method](params[0]) } : { error: `rpc: can't find ${method}` }
    response.setHeader('connection', 'close')
    response.end(JSON.stringify(result))
  })
})

process.on('unhandledRejection', (error) => errors.push(error?.message ?? String(error)))
process.on('beforeExit', () => {
  writeFileSync(output, JSON.stringify({ resources, errors, builds, outputs, app: globalThis.$bursarApp }))
  // After an error Pulumi would report the promises that are still open as another failure.
  if (errors.length > 0) process.removeAllListeners('exit')
  process.exit(0)
})

/** Runs a bundle of `graph.ts`, with everything else that SST's CLI gives to the program. */
async function runAlone() {
  process.env.SST_SERVER = `http://127.0.0.1:${server.address().port}`
  // The CLI calls `app` first, in a separate run.
  globalThis.$bursarDev = dev
  globalThis.$bursarCli = {
    command: 'check',
    paths: { root, platform, work, home: work },
    state: { version: {} },
    env: {},
    rpc: '',
  }
  globalThis.$bursarApp = { name: 'bursar', stage, providers: {} }
  const program = await import(pathToFileURL(bundle).href)
  Object.assign(globalThis.$bursarApp, await program.config.app({ stage }))
  return () => program.run(program.config.run)
}

/**
 * Runs a bundle that SST's CLI made, which calls `run` while it loads and asks the CLI at `SST_SERVER`. Its reader sees
 * every output, with the mocks' values.
 */
async function runBySst() {
  const { default: printed } = await import(pathToFileURL(bundle).href)
  pulumi.output(printed).apply((all) => Object.assign(outputs, all))
  return printed
}

server.listen(0, '127.0.0.1', async () => {
  server.unref()
  try {
    await pulumi.runtime.setMocks(mocks, 'bursar', stage, false)
    watch(settings.getMonitor())
    const run = bySst ? runBySst : await runAlone()
    await pulumi.runtime.runInPulumiStack(async () => {
      const printed = await run()
      const known = Object.entries(printed).filter(([, value]) => !pulumi.Output.isInstance(value))
      Object.assign(outputs, Object.fromEntries(known))
      return printed
    })
  } catch (error) {
    errors.push(error.message)
  }
})
