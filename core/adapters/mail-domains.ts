import { isDisposableEmailDomain } from 'disposable-email-domains-js'
import type { MailDomains } from '../ports.ts'

/** `MailDomains` by the list of the package `disposable-email-domains-js`, which is brought up to date every week. */
export const mailDomains: MailDomains = {
  isDisposable: async (domain) => isDisposableEmailDomain(domain),
}
