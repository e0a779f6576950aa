import type { Settings } from './settings.ts'

/**
 * What a deployment leaves for the next one, as tags of the stage's configuration set at SES: git ignores the file with the
 * settings, so another machine may lack one that was set last time.
 */
interface LastDeployment {
  /** The domain that the stage mails from. */
  'mail-domain'?: string
  /** The table in use. */
  table?: string
}

/** @param ownTable the name of the table that the stage makes, unless it uses a restored one */
export const lastDeploymentTags = ({ mailDomain, restoredTable }: Settings, ownTable: string) => ({
  'mail-domain': mailDomain,
  table: restoredTable ?? ownTable,
})

/**
 * What to tell an operator if the tags could not be read; undefined for a stage that is new and has none.
 * @param error as AWS's provider of Pulumi words it: an absent configuration set is "couldn't find resource"
 */
export function unreadTags({ message }: Error): string | undefined {
  if (/couldn't find|\bnot\s?found/i.test(message)) return undefined
  return `The tags of the configuration set at SES could not be read, so changes of the mail domain and of the table cannot be noticed this time: ${message.replaceAll(/\s+/g, ' ').trim()}`
}

/**
 * @param ownTable as of `lastDeploymentTags`
 * @throws Error with a sentence that says what to set, if the stage would go back to the table that a backup replaced
 */
export function requireTable(last: LastDeployment, { restoredTable }: Settings, ownTable: string): void {
  const { table } = last
  if (restoredTable !== undefined || table === undefined || table === ownTable) return
  throw new Error(
    `TABLE is not set, but this stage uses ${table}, a table that was restored from a backup. Set TABLE=${table} and SESSIONS_SINCE to the time of that restore. To go back to ${ownTable} on purpose, set TABLE=${ownTable} and SESSIONS_SINCE to the time of now.`,
  )
}

/** What an operator is told who changes the domain of MAIL_FROM; undefined if it stays, or is not known. */
export function mailDomainWarning(
  last: LastDeployment,
  { mailDomain: now, createMailIdentity }: Settings,
): string | undefined {
  const before = last['mail-domain']
  if (before === undefined || before === now) return undefined
  const mailed = createMailIdentity
    ? `Nothing is mailed until the records of mailDns are published for ${now} and SES has seen them. To avoid the gap, create the identity of ${now} at SES and publish its records first, and deploy with MAIL_IDENTITY=existing.`
    : `Mail goes from ${now} at once if SES has verified that domain, and until it has nothing is mailed.`
  return `The domain of MAIL_FROM changes from ${before} to ${now}. ${mailed} The identity of ${before} stays at SES, so going back to it needs MAIL_IDENTITY=existing.`
}
