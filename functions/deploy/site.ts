import { hkdfSync } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join, sep } from 'node:path'
import { EDGE_HEADER } from '../http/source-address.ts'
import { API_PATHS, CHALLENGE_JS, cachingOf, pageHeaders, STRIPE_JS, typeOf } from '../pages/site.ts'

/** What the deployment has to know about pages and their distribution, as data. `sst.config.ts` creates it. */

/** The folder of the built pages: their files, and the function that CloudFront runs. */
export const PAGES_FOLDER = '.pages'
export const FILES_FOLDER = `${PAGES_FOLDER}/files`
export const EDGE_FUNCTION = `${PAGES_FOLDER}/edge.js`

export const edgeHeader = EDGE_HEADER

/** The API's paths as CloudFront writes patterns: its `*` also stands for nothing, which is no path of the API. */
export const apiPatterns = API_PATHS.map((path) => path.replaceAll('*', '?*'))

/** Policies that AWS keeps under these ids: https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/ */
export const managed = {
  /** `CachingDisabled`: every request reaches the API. */
  notCached: '4135ea2d-6df8-44a3-9df3-4b5a84be39ad',
  /** `CachingOptimized`: by what a file's own Cache-Control says, at least a second. */
  cached: '658327ea-f89d-4fab-a63d-7e88639e58f6',
  /**
   * `AllViewerExceptHostHeader`: all that the caller sent but the name of our domain, which API Gateway would not know, and
   * what CloudFront knows of the caller, such as the address.
   */
  allButHost: 'b689b0a8-53d0-40ab-baf2-68738e2966ac',
}

/** CloudFront would keep these refusals for ten seconds and give one caller's to another. */
export const refusals = [400, 403, 404, 405, 414, 416, 500, 501, 502, 503, 504]

/**
 * What CloudFront adds to requests that it passes on to the API, derived from each live root secret as the keyring's keys
 * are, with a comma between. It adds the first; functions take either, because a deployment does not change all at the same
 * moment.
 */
export const edgeSecretOf = (rootSecret: string): string =>
  rootSecret
    .split(',')
    .map((text) => hkdfSync('sha256', Buffer.from(text, 'hex'), '', 'bursar:edge', 32))
    .map((key) => Buffer.from(key).toString('base64url'))
    .join()

interface PageFile {
  /** The path in the domain, without the first slash. */
  key: string
  source: string
  contentType: string
  cacheControl: string
  /** Whether other files name it, which have to be there after it. */
  isAsset: boolean
}

/** The built files. @param root the project's folder */
export function pageFiles(root: string): PageFile[] {
  const folder = join(root, FILES_FOLDER)
  const found = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((one) => one.isFile())
  return found
    .map(({ parentPath, name }) => {
      const source = join(parentPath, name)
      const path = source.slice(folder.length).replaceAll(sep, '/')
      return {
        key: path.slice(1),
        source,
        contentType: typeOf(path),
        cacheControl: cachingOf(path),
        isAsset: path.startsWith('/assets/'),
      }
    })
    .sort((one, other) => one.key.localeCompare(other.key))
}

/** The code that CloudFront runs. @param root the project's folder */
export const edgeFunctionCode = (root: string): string => readFileSync(join(root, EDGE_FUNCTION), 'utf8')

/** The headers of pages, in the two groups that CloudFront has. It takes a header of its first group nowhere else. */
export function sitePolicy(logoUrl: string | undefined, asksPeople: boolean) {
  const {
    'content-security-policy': contentSecurityPolicy = '',
    'referrer-policy': referrerPolicy = '',
    'strict-transport-security': transport = '',
    'x-content-type-options': _,
    ...custom
  } = pageHeaders({
    stripeJs: STRIPE_JS,
    logo: logoUrl && new URL(logoUrl).origin,
    challengeJs: asksPeople ? CHALLENGE_JS : undefined,
  })
  const override = true
  return {
    securityHeadersConfig: {
      contentSecurityPolicy: { contentSecurityPolicy, override },
      contentTypeOptions: { override },
      referrerPolicy: { referrerPolicy, override },
      strictTransportSecurity: {
        accessControlMaxAgeSec: Number(/max-age=(\d+)/.exec(transport)?.[1]),
        includeSubdomains: transport.includes('includeSubDomains'),
        override,
      },
    },
    customHeadersConfig: {
      items: Object.entries(custom).map(([header, value]) => ({ header, value, override })),
    },
  }
}
