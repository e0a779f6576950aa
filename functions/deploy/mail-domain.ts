/** The tag in which a stage keeps the domain that it mails from, so that the next deployment knows it. */
export const MAIL_DOMAIN_TAG = 'mail-domain'

/**
 * What an operator is told who changes the domain of MAIL_FROM; undefined if it stays.
 * @param before the domain of the last deployment; undefined for a stage that is new, or older than the tag
 */
export const mailDomainWarning = (before: string | undefined, now: string): string | undefined =>
  before === undefined || before === now
    ? undefined
    : `The domain of MAIL_FROM changes from ${before} to ${now}. Nothing is mailed until the records of mailDns are published for ${now} and SES has seen them. To avoid the gap, create the identity of ${now} at SES and publish its records first, and deploy with MAIL_IDENTITY=existing. The identity of ${before} stays at SES.`
