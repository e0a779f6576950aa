import { createHmac } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { pageHeaders, STRIPE_JS } from '../../functions/pages/site.ts'
import { CUSTOM_DOMAIN, ENVIRONMENT } from './environment.ts'
import { all, difference, inputsOf, type Rule, same } from './findings.ts'
import { type Graph, ROOT } from './graph.ts'

/** The rules for pages and the distribution in front of pages and API. A stage with `PAGES=off` has none of it. */

export const DISTRIBUTION = 'aws:cloudfront/distribution:Distribution'
export const PAGE = 'aws:s3/bucketObjectv2:BucketObjectv2'
const BUCKET = 'aws:s3/bucket:Bucket'
const POLICY = 'aws:s3/bucketPolicy:BucketPolicy'
const HEADERS = 'aws:cloudfront/responseHeadersPolicy:ResponseHeadersPolicy'
const FUNCTION = 'aws:cloudfront/function:Function'
const ACCESS = 'aws:cloudfront/originAccessControl:OriginAccessControl'
const LOCKS = {
  'aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock': {
    bucket: 'PagesBucket-id',
    blockPublicAcls: true,
    blockPublicPolicy: true,
    ignorePublicAcls: true,
    restrictPublicBuckets: true,
  },
  'aws:s3/bucketOwnershipControls:BucketOwnershipControls': {
    bucket: 'PagesBucket-id',
    rule: { objectOwnership: 'BucketOwnerEnforced' },
  },
  'aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration': {
    bucket: 'PagesBucket-id',
    rules: [{ applyServerSideEncryptionByDefault: { sseAlgorithm: 'AES256' } }],
  },
}

/** Stated again, because rules that read the deployment's list could not find what is missing in it. */
const API = [
  '/admin/',
  '/api/',
  '/console/?*/',
  '/health',
  '/openapi.json',
  '/ops/',
  '/rest/',
  '/v1/',
  '/webhooks/',
]

export const hasSite = ({ environment }: Graph): boolean => environment.PAGES !== 'off'
const domainOf = ({ environment }: Graph) => environment.PAGES_DOMAIN

/** A rule about stages that have the distribution. */
const where =
  (rule: Rule): Rule =>
  (graph) =>
    hasSite(graph) ? rule(graph) : []

/** Only the pages: functions have objects of their own kind, which SST uploads. */
const pagesOf = (graph: Graph) => all(graph, PAGE).filter(({ name }) => name.startsWith('Page/'))

const files = readdirSync(join(ROOT, '.pages', 'files'), { recursive: true, withFileTypes: true })
  .filter((one) => one.isFile())
  .map(({ parentPath, name }) => relative(join(ROOT, '.pages', 'files'), join(parentPath, name)))
  .sort()

const TYPES = { html: 'text/html', js: 'text/javascript', css: 'text/css' }

const uploaded: Rule = (graph) => [
  ...difference(
    'page',
    pagesOf(graph).map(({ inputs: { bucket, key, contentType, cacheControl } }) =>
      [bucket, key, contentType, cacheControl].join(' '),
    ),
    files.map((key) => {
      const type = TYPES[key.split('.').at(-1) as keyof typeof TYPES]
      const caching = key.startsWith('assets/') ? 'public, max-age=31536000, immutable' : 'no-cache'
      return `PagesBucket-id ${key} ${type}; charset=utf-8 ${caching}`
    }),
  ),
  // A page must not appear before its scripts.
  ...pagesOf(graph)
    .filter(({ inputs }) => !inputs.key.startsWith('assets/'))
    .flatMap((page) =>
      pagesOf(graph)
        .filter(({ inputs, urn }) => inputs.key.startsWith('assets/') && !page.dependsOn.includes(urn))
        .map(({ inputs }) => `${page.inputs.key} does not wait for ${inputs.key}`),
    ),
]

const bucket: Rule = (graph) => [
  ...same(
    'the bucket',
    all(graph, BUCKET).map(({ inputs, retain }) => [inputs, retain]),
    [[{ bucketPrefix: `bursar-${graph.stage}-pages-`, forceDestroy: true }, false]],
  ),
  ...Object.entries(LOCKS).flatMap(([type, lock]) => same(`the lock ${type}`, inputsOf(graph, type), [lock])),
]

const readers: Rule = (graph) => {
  const bucketArn = 'arn:aws:s3:eu-west-1:123456789012:PagesBucket'
  const resources = [bucketArn, `${bucketArn}/*`]
  return same(
    'the policy of the bucket',
    inputsOf(graph, POLICY).map(({ policy }) => JSON.parse(policy)),
    [
      [
        {
          principals: [{ type: 'Service', identifiers: ['cloudfront.amazonaws.com'] }],
          actions: ['s3:GetObject', 's3:ListBucket'],
          resources,
          conditions: [
            {
              test: 'StringEquals',
              variable: 'AWS:SourceArn',
              values: ['arn:aws:cloudfront:eu-west-1:123456789012:Pages'],
            },
          ],
        },
        {
          effect: 'Deny',
          principals: [{ type: '*', identifiers: ['*'] }],
          actions: ['s3:*'],
          resources,
          conditions: [{ test: 'Bool', variable: 'aws:SecureTransport', values: ['false'] }],
        },
      ],
    ],
  )
}

/** RFC 5869 by hand: the first block of HKDF-SHA-256 without salt. */
function edgeSecret(): string {
  const key = createHmac('sha256', Buffer.alloc(32)).update(
    Buffer.from(ENVIRONMENT.SST_SECRET_RootSecret, 'hex'),
  )
  return createHmac('sha256', key.digest()).update('bursar:edge\u0001').digest('base64url')
}

const origins: Rule = (graph) => {
  const [{ origins: made = [] } = {}] = inputsOf(graph, DISTRIBUTION)
  return [
    ...same('the origins', made, [
      {
        originId: 'pages',
        domainName: 'pages-bucket.s3.eu-west-1.amazonaws.com',
        originAccessControlId: 'PagesAccess-id',
      },
      {
        originId: 'api',
        domainName: 'api.execute-api.eu-west-1.amazonaws.com',
        customOriginConfig: {
          httpPort: 80,
          httpsPort: 443,
          originProtocolPolicy: 'https-only',
          originSslProtocols: ['TLSv1.2'],
        },
        customHeaders: [{ name: 'x-bursar-edge', value: edgeSecret() }],
      },
    ]),
    ...same('how the bucket is asked', inputsOf(graph, ACCESS), [
      {
        name: `bursar-${graph.stage}-eu-west-1-pages`,
        originAccessControlOriginType: 's3',
        signingBehavior: 'always',
        signingProtocol: 'sigv4',
      },
    ]),
  ]
}

const behaviours: Rule = (graph) => {
  const [{ defaultCacheBehavior, orderedCacheBehaviors = [], customErrorResponses = [] } = {}] = inputsOf(
    graph,
    DISTRIBUTION,
  )
  const { pathPattern: _, ...passing } = orderedCacheBehaviors[0] ?? {}
  return [
    ...same('what pages get', defaultCacheBehavior, {
      targetOriginId: 'pages',
      viewerProtocolPolicy: 'redirect-to-https',
      allowedMethods: ['GET', 'HEAD'],
      cachedMethods: ['GET', 'HEAD'],
      cachePolicyId: '658327ea-f89d-4fab-a63d-7e88639e58f6',
      responseHeadersPolicyId: 'PagesHeaders-id',
      functionAssociations: [
        { eventType: 'viewer-request', functionArn: 'arn:aws:cloudfront:eu-west-1:123456789012:PagesPaths' },
      ],
      compress: true,
    }),
    ...difference(
      'path of the API',
      orderedCacheBehaviors.map(({ pathPattern }: { pathPattern: string }) => pathPattern),
      API.map((path) => (path.endsWith('/') ? `${path}?*` : path)),
    ),
    ...orderedCacheBehaviors.flatMap(({ pathPattern, ...one }: Record<string, unknown>) =>
      same(`what ${pathPattern} gets`, one, {
        targetOriginId: 'api',
        viewerProtocolPolicy: 'https-only',
        allowedMethods: ['GET', 'HEAD', 'OPTIONS', 'PUT', 'POST', 'PATCH', 'DELETE'],
        cachedMethods: ['GET', 'HEAD'],
        // CachingDisabled and AllViewerExceptHostHeader
        cachePolicyId: '4135ea2d-6df8-44a3-9df3-4b5a84be39ad',
        originRequestPolicyId: 'b689b0a8-53d0-40ab-baf2-68738e2966ac',
        compress: true,
      }),
    ),
    ...same('that something is passed to the API', passing.targetOriginId, 'api'),
    ...same(
      'how long refusals are kept',
      customErrorResponses,
      [400, 403, 404, 405, 414, 416, 500, 501, 502, 503, 504].map((errorCode) => ({
        errorCode,
        errorCachingMinTtl: 0,
      })),
    ),
  ]
}

const headers: Rule = (graph) => {
  const [policy, ...others] = inputsOf(graph, HEADERS)
  const { securityHeadersConfig: security = {}, customHeadersConfig = {} } = policy ?? {}
  const { strictTransportSecurity: transport = {} } = security
  const custom: { header: string; value: string; override: boolean }[] = customHeadersConfig.items ?? []
  const sent: Record<string, string> = {
    'content-security-policy': security.contentSecurityPolicy?.contentSecurityPolicy,
    'referrer-policy': security.referrerPolicy?.referrerPolicy,
    'strict-transport-security': `max-age=${transport.accessControlMaxAgeSec}${transport.includeSubdomains ? '; includeSubDomains' : ''}`,
    ...(security.contentTypeOptions && { 'x-content-type-options': 'nosniff' }),
    ...Object.fromEntries(custom.map(({ header, value }) => [header, value])),
  }
  const wanted = pageHeaders({ stripeJs: STRIPE_JS })
  return [
    ...same('the number of other policies of headers', others.length, 0),
    ...same('the name of the policy of headers', policy?.name, `bursar-${graph.stage}-eu-west-1-pages`),
    ...Object.keys({ ...wanted, ...sent }).flatMap((name) =>
      same(`the header ${name}`, sent[name], wanted[name]),
    ),
  ]
}

const front: Rule = (graph) => {
  const [
    {
      origins: _,
      defaultCacheBehavior: __,
      orderedCacheBehaviors: ___,
      customErrorResponses: ____,
      ...one
    } = {},
  ] = inputsOf(graph, DISTRIBUTION)
  const domain = domainOf(graph)
  return same('the distribution', one, {
    comment: `bursar-${graph.stage}`,
    enabled: true,
    isIpv6Enabled: true,
    httpVersion: 'http2and3',
    priceClass: 'PriceClass_All',
    restrictions: { geoRestriction: { restrictionType: 'none' } },
    viewerCertificate: domain
      ? {
          acmCertificateArn: CUSTOM_DOMAIN.PAGES_CERTIFICATE,
          sslSupportMethod: 'sni-only',
          minimumProtocolVersion: 'TLSv1.2_2021',
        }
      : { cloudfrontDefaultCertificate: true },
    ...(domain && { aliases: [domain], webAclId: CUSTOM_DOMAIN.WEB_ACL }),
  })
}

const paths: Rule = (graph) =>
  same('the functions at the edge', inputsOf(graph, FUNCTION), [
    {
      name: `bursar-${graph.stage}-eu-west-1-pages`,
      comment: 'Shows the file of each page',
      runtime: 'cloudfront-js-2.0',
      code: readFileSync(join(ROOT, '.pages', 'edge.js'), 'utf8'),
      publish: true,
    },
  ])

const lambdas = (graph: Graph) => inputsOf(graph, 'aws:lambda/function:Function')

/** Functions believe the distribution by the value that it sends; without one they have nothing to compare with. */
const believed: Rule = (graph) =>
  lambdas(graph)
    .filter(({ environment }) => environment?.variables?.EDGE_SECRET !== undefined)
    .flatMap(({ name, environment }) =>
      same(
        `the secret of the edge in ${name}`,
        environment.variables.EDGE_SECRET,
        hasSite(graph) ? edgeSecret() : undefined,
      ),
    )

const nothingLeft: Rule = (graph) => {
  if (hasSite(graph)) return []
  return [
    ...graph.resources
      .filter(
        ({ type, name }) => /^aws:(cloudfront|s3\/bucket(?!Object))/.test(type) || name.startsWith('Page'),
      )
      .map(({ type, name }) => `${type} ${name} is there, and PAGES is off`),
    ...Object.keys(graph.outputs)
      .filter((name) => name.startsWith('pages'))
      .map((name) => `${name} is printed, and PAGES is off`),
  ]
}

/** How many resources of each kind there should be, besides those that the rows make. */
export const siteCounts = (graph: Graph): Record<string, number> =>
  hasSite(graph)
    ? {
        ...Object.fromEntries(
          [DISTRIBUTION, BUCKET, POLICY, HEADERS, FUNCTION, ACCESS].map((type) => [type, 1]),
        ),
        ...Object.fromEntries(Object.keys(LOCKS).map((type) => [type, 1])),
      }
    : {}

export const pageCount = (graph: Graph): number => (hasSite(graph) ? files.length : 0)

/** Assets of earlier deployments stay for the pages that were loaded then. */
export const keptAssets = (graph: Graph): string[] =>
  hasSite(graph) ? files.filter((key) => key.startsWith('assets/')).map((key) => `${PAGE} Page/${key}`) : []

export const siteRules: Record<string, Rule> = {
  'pages are uploaded with their type and caching, and after their assets': where(uploaded),
  'the bucket of pages is private, encrypted and owned by the account': where(bucket),
  'only the distribution reads the bucket, and only over TLS': where(readers),
  'the distribution asks the bucket signed, and shows the API that a request is its own': where(origins),
  'every path of the API is passed to it uncached, and all others are pages': where(behaviours),
  'pages have their headers': where(headers),
  'the distribution speaks HTTP/2 and 3, IPv6, and modern TLS at its own domain': where(front),
  'CloudFront runs the function that was built': where(paths),
  'functions compare with the value that the distribution sends': believed,
  'PAGES=off leaves nothing': nothingLeft,
}
