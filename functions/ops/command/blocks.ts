import { ops } from '../routes.ts'
import { type Answer, type Commands, command } from './command.ts'
import { facts, table, timeText } from './text.ts'

type Card = Answer<typeof ops.blockCard>

const why = ({ byOperator, reports }: Card): string =>
  [...(byOperator ? ['operator'] : []), ...reports.map(({ reason }) => reason)].join(', ')

const shown = (card: Card): string =>
  facts({
    card: card.digest,
    blocked: card.blockedAt === null ? 'no' : `since ${timeText(card.blockedAt)}`,
    why: why(card) || undefined,
    owing: card.owing.join(' ') || undefined,
  })

export const blockCommands = {
  'card list': command(ops.listBlockedCards, {
    summary: 'shows the cards with which no account can buy',
    flags: { cursor: 'next of the page before' },
    show: ({ cards, next }) =>
      cards.length === 0
        ? 'No card is blocked.'
        : table(
            ['CARD', 'SINCE (UTC)', 'WHY', 'ACCOUNTS'],
            cards.map((card) => [
              card.digest,
              timeText(card.blockedAt ?? 0),
              why(card),
              [...new Set(card.reports.map(({ account }) => account))].join(' '),
            ]),
          ) + (next === null ? '' : `\nThere are more: --cursor ${next}`),
  }),
  'card block': command(ops.blockCard, {
    summary: 'blocks a card for every account',
    takes: ['card'],
    flags: { reason: 'why, for the audit log' },
    asks: () => 'Block this card for every account?',
    show: shown,
  }),
  'card unblock': command(ops.unblockCard, {
    summary: 'lets every account buy with a card again',
    takes: ['card'],
    flags: { reason: 'why, for the audit log' },
    asks: () => 'Let every account buy with this card again?',
    show: shown,
  }),
  'mail-domain list': command(ops.listMailDomains, {
    summary: 'shows the domains of mail that operators block or allow',
    flags: { cursor: 'next of the page before' },
    show: ({ domains, next }) =>
      domains.length === 0
        ? 'Only disposable domains are refused.'
        : table(
            ['DOMAIN', 'RULE', 'SINCE (UTC)'],
            domains.map(({ domain, rule, at }) => [domain, rule, timeText(at)]),
          ) + (next === null ? '' : `\nThere are more: --cursor ${next}`),
  }),
  'mail-domain rule': command(ops.ruleMailDomain, {
    summary: 'blocks or allows new addresses of a domain: block, allow or none',
    takes: ['domain', 'rule'],
    flags: { reason: 'why, for the audit log' },
    defaults: { reason: 'npm run ops -- mail-domain rule' },
    show: ({ domain, rule }) => `New addresses of ${domain}: ${rule}.`,
  }),
} satisfies Commands
