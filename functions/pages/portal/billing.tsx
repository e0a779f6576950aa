import { countryOptions } from '../kit/countries.ts'
import { Form, type Values } from '../kit/form.tsx'
import { Load, useResource } from '../kit/resource.tsx'
import { useAccount } from './context.tsx'
import { t } from './messages.ts'
import { client } from './session.ts'

/** What stands on invoices: the billing address, the company and its tax id. */
export function Billing() {
  const account = useAccount()
  const settings = useResource(() => client.billing.getSettings())
  return (
    <section class="card">
      <h2>{t.billing.title}</h2>
      <Load of={settings}>
        {(now) => (
          <Form
            submit={t.words.save}
            done={t.words.saved}
            onSubmit={async (values) => {
              settings.set(await client.billing.setSettings(settingsOf(values)))
              await account.reload()
            }}
            fields={[
              {
                name: 'company',
                label: t.address.company,
                autocomplete: 'organization',
                value: now.company ?? '',
              },
              { name: 'taxId', label: t.billing.taxId, maxlength: 50, value: now.taxId ?? '' },
              {
                name: 'address1',
                label: t.address.street,
                autocomplete: 'address-line1',
                required: true,
                value: now.address1 ?? '',
              },
              {
                name: 'address2',
                label: t.billing.address2,
                autocomplete: 'address-line2',
                value: now.address2 ?? '',
              },
              {
                name: 'zip',
                label: t.address.postCode,
                autocomplete: 'postal-code',
                required: true,
                value: now.zip ?? '',
              },
              {
                name: 'city',
                label: t.address.city,
                autocomplete: 'address-level2',
                required: true,
                value: now.city ?? '',
              },
              {
                name: 'state',
                label: t.address.district,
                autocomplete: 'address-level1',
                value: now.state ?? '',
              },
              {
                name: 'country',
                label: t.address.country,
                type: 'select',
                autocomplete: 'country',
                required: true,
                options: countryOptions(),
                value: now.country ?? navigator.language.split('-')[1] ?? 'US',
              },
            ]}
          />
        )}
      </Load>
    </section>
  )
}

/** An empty field takes away what may be missing. */
const settingsOf = ({
  company,
  taxId,
  address1 = '',
  address2,
  zip = '',
  city = '',
  state,
  country = '',
}: Values) => ({
  address1,
  zip,
  city,
  country,
  company: company || null,
  taxId: taxId || null,
  address2: address2 || null,
  state: state || null,
})
