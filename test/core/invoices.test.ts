import { describe, expect, test } from 'vitest'
import type { Account } from '../../core/account/account.ts'
import type { Payment, Ports } from '../../core/ports.ts'
import {
  invoiceItem,
  listInvoices,
  readInvoice,
  readLastInvoice,
  readListedInvoice,
} from '../../core/purchases/invoices.ts'
import type { Purchase } from '../../core/purchases/purchase.ts'
import { keys } from '../../core/table/keys.ts'
import { DAY_MS } from '../../core/time.ts'
import { memoryTable } from '../machine/memory-table.ts'
import { recordingLog } from '../support/log.ts'

const NOW_MS = Date.UTC(2026, 10, 21, 12)
const ACCOUNT = { id: 'a'.repeat(24) } as Account

const purchase = (n: number, over: Partial<Purchase> = {}): Purchase => ({
  id: n.toString(16).padStart(24, '0'),
  accountId: ACCOUNT.id,
  kind: 'buy',
  state: 'credited',
  bundle: 'STARTER',
  units: 1000,
  amountCents: 99,
  currency: 'USD',
  customerId: 'cus_1',
  asked: 'pm_1',
  cardId: 'pm_1',
  fingerprint: 'digest',
  paymentId: 'pi_1',
  createdAtMs: NOW_MS,
  paidAtMs: NOW_MS,
  brand: 'visa',
  last4: '4242',
  receiptUrl: 'https://receipt/old',
  refundedCents: 0,
  disputedCents: 0,
  returnedUnits: 0,
  returnedCents: 0,
  ...over,
})

async function open(...purchases: Purchase[]) {
  const table = memoryTable()
  for (const each of purchases) {
    await table.put({ ...keys.purchase(ACCOUNT.id, each.id), ...each })
    await table.put(invoiceItem(each))
  }
  let nowMs = NOW_MS
  const asked: string[] = []
  const answer = { receipt: { url: 'https://receipt/new' } as { url?: string } | undefined, isDown: false }
  const { log, lines } = recordingLog()
  const deps = {
    table,
    log,
    clock: { nowMs: () => nowMs },
    payments: {
      readPayment: async (id: string) => {
        asked.push(id)
        if (answer.isDown) throw new Error('down')
        return { receipt: answer.receipt } as Payment
      },
    },
  } as unknown as Ports
  const read = (n: number) => readInvoice(deps, ACCOUNT, purchase(n).id)
  const pass = (ms: number) => {
    nowMs += ms
  }
  return { table, deps, asked, answer, lines, read, pass }
}

describe('an invoice', () => {
  test.each<[string, Partial<Purchase>]>([
    ['paid', {}],
    ['partially_refunded', { refundedCents: 1 }],
    ['partially_refunded', { refundedCents: 98 }],
    ['refunded', { refundedCents: 99 }],
    ['disputed', { disputedCents: 1 }],
    ['disputed', { refundedCents: 50, disputedCents: 49 }],
  ])('is %s', async (status, over) => {
    const { deps, read } = await open(purchase(1, over))
    expect(await read(1)).toMatchObject({ status })
    expect((await listInvoices(deps, ACCOUNT, { limit: 5 })).invoices).toMatchObject([{ status }])
    expect(await readListedInvoice(deps, ACCOUNT.id, purchase(1).id)).toEqual({
      id: purchase(1).id,
      amountCents: 99,
      currency: 'USD',
      status,
      paidAtMs: NOW_MS,
    })
  })

  test('says what was bought, with which card, and what a coupon took off', async () => {
    const coupon = { code: 'HALF', discountCents: 50, bonusUnits: 7 }
    const { read } = await open(purchase(1), purchase(2, { coupon }))
    expect(await read(1)).toEqual({
      id: purchase(1).id,
      amountCents: 99,
      currency: 'USD',
      status: 'paid',
      paidAtMs: NOW_MS,
      bundle: 'STARTER',
      units: 1000,
      discount: undefined,
      cardBrand: 'visa',
      cardLast4: '4242',
      receiptUrl: 'https://receipt/old',
    })
    expect((await read(2)).discount).toEqual({ code: 'HALF', amountCents: 50, units: 7 })
  })

  test('is there only for a purchase that was paid', async () => {
    const { deps, table } = await open()
    const missing = (id: string) =>
      expect(readInvoice(deps, ACCOUNT, id)).rejects.toMatchObject({ code: 'not_found' })
    await table.put({ ...keys.purchase(ACCOUNT.id, purchase(1).id), ...purchase(1, { state: 'abandoned' }) })
    await missing(purchase(1).id)
    await missing(purchase(2).id)
    await missing('x')
    await missing(`${purchase(1).id}0`)
    await missing(`0${purchase(1).id}`)
    await expect(readLastInvoice(deps, ACCOUNT)).rejects.toMatchObject({ code: 'not_found' })
    expect(await readListedInvoice(deps, ACCOUNT.id, purchase(1).id)).toBeUndefined()
  })

  test('is listed newest first, page by page', async () => {
    const { deps, asked } = await open(...[1, 2, 3, 4, 5].map((n) => purchase(n)))
    const pages: string[][] = []
    let cursor: string | undefined
    do {
      const page = await listInvoices(deps, ACCOUNT, { limit: 2, cursor })
      pages.push(page.invoices.map(({ id }) => id.slice(-1)))
      cursor = page.next
    } while (cursor !== undefined)
    expect(pages).toEqual([['5', '4'], ['3', '2'], ['1']])
    expect((await readLastInvoice(deps, ACCOUNT)).id).toBe(purchase(5).id)
    expect(asked).toEqual([])
  })
})

describe('the link to a receipt', () => {
  test('is renewed once it is a week old, and then a week later', async () => {
    const { read, pass, asked, table } = await open(purchase(1))
    pass(7 * DAY_MS - 1)
    expect((await read(1)).receiptUrl).toBe('https://receipt/old')
    expect(asked).toEqual([])
    pass(1)
    expect((await read(1)).receiptUrl).toBe('https://receipt/new')
    expect(await table.get(keys.purchase(ACCOUNT.id, purchase(1).id))).toMatchObject({
      receiptUrl: 'https://receipt/new',
      receiptAtMs: NOW_MS + 7 * DAY_MS,
    })
    pass(7 * DAY_MS - 1)
    await read(1)
    expect(asked).toEqual(['pi_1'])
    pass(1)
    await read(1)
    expect(asked).toEqual(['pi_1', 'pi_1'])
  })

  test('goes if the provider has none any more', async () => {
    const { read, pass, answer, table } = await open(purchase(1))
    pass(8 * DAY_MS)
    answer.receipt = undefined
    expect((await read(1)).receiptUrl).toBeUndefined()
    expect(await table.get(keys.purchase(ACCOUNT.id, purchase(1).id))).not.toHaveProperty('receiptUrl')
  })

  test('stays for 30 days while the provider does not answer, and a line says so', async () => {
    const { read, pass, answer, lines } = await open(purchase(1))
    answer.isDown = true
    pass(30 * DAY_MS - 1)
    expect((await read(1)).receiptUrl).toBe('https://receipt/old')
    pass(1)
    expect(await read(1)).toMatchObject({ receiptUrl: undefined, cardLast4: '4242' })
    expect(lines).toHaveLength(2)
    expect(lines[0]).toMatchObject({
      level: 'warn',
      what: 'the link to a receipt could not be renewed; the next reading of the invoice tries again',
      accountId: ACCOUNT.id,
      purchaseId: purchase(1).id,
    })
  })
})
