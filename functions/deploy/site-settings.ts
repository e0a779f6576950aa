import { HOST, NOWHERE } from './hosts.ts'

type Environment = Readonly<Record<string, string | undefined>>

/** The operator's configuration of the distribution in front of pages and API. */
export interface SiteSettings {
  /** The domain of the operator's own, with its certificate; without it CloudFront's name is used. */
  domain?: { name: string; certificate: string }
  /** The ARN of a web ACL of AWS WAF. */
  webAcl?: string
  /** Whether the API answers unsigned requests at its own address, too, past the distribution and its web ACL. */
  isApiOpen: boolean
}

/** CloudFront reads certificates and web ACLs of this region only, wherever the rest is. */
const CERTIFICATE = /^arn:aws:acm:us-east-1:\d{12}:certificate\/[\w-]+$/
const WEB_ACL = /^arn:aws:wafv2:us-east-1:\d{12}:global\/webacl\/[\w-]+\/[\w-]+$/

/**
 * Reads the settings of the distribution.
 * @returns undefined where `PAGES=off` leaves it out, with everything that belongs to it
 * @throws Error with a sentence that says what to set instead
 */
export function siteSettings(env: Environment): SiteSettings | undefined {
  const pages = env.PAGES?.trim() || 'on'
  if (!/^(on|off)$/.test(pages)) throw new Error('PAGES must be "on" or "off".')
  const api = env.API_ADDRESS?.trim() || 'open'
  if (!/^(open|closed)$/.test(api)) throw new Error('API_ADDRESS must be "open" or "closed".')
  const isApiOpen = api === 'open'
  if (pages === 'off') {
    if (isApiOpen) return undefined
    throw new Error(
      'API_ADDRESS=closed needs the distribution, which PAGES=off leaves out: nobody could reach the API. Unset one of them.',
    )
  }
  const [name, certificate, webAcl] = ['PAGES_DOMAIN', 'PAGES_CERTIFICATE', 'WEB_ACL'].map((setting) =>
    env[setting]?.trim(),
  )
  if (webAcl && !WEB_ACL.test(webAcl)) {
    throw new Error(
      'WEB_ACL must be the ARN of a web ACL of AWS WAF with the scope CLOUDFRONT, arn:aws:wafv2:us-east-1:…:global/webacl/…. Set it, or unset WEB_ACL.',
    )
  }
  const domain = domainOf(name, certificate)
  return { ...(domain && { domain }), ...(webAcl && { webAcl }), isApiOpen }
}

function domainOf(name: string | undefined, certificate: string | undefined): SiteSettings['domain'] {
  if (!name && !certificate) return undefined
  if (!name)
    throw new Error('PAGES_CERTIFICATE is set without PAGES_DOMAIN. Set the domain, too, or unset it.')
  if (!HOST.test(name) || NOWHERE.test(name)) {
    throw new Error(
      `PAGES_DOMAIN is ${JSON.stringify(name)}. Set a host name alone, in lower case, such as account.your.domain.`,
    )
  }
  if (!certificate || !CERTIFICATE.test(certificate)) {
    throw new Error(
      `PAGES_DOMAIN needs PAGES_CERTIFICATE: the ARN of a certificate for ${name} in ACM's region us-east-1, arn:aws:acm:us-east-1:…:certificate/…. CloudFront takes none of another region.`,
    )
  }
  return { name, certificate }
}
