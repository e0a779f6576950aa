/** The first five minutes in curl. `npm run dev` prints it, the README shows it, and a test runs it as it stands. */
export const walkThrough = (url: string): string => `API=${url}

# register: the answer is the envelope of Skylink
curl -sw '\\n' $API/rest/users -H 'content-type: application/json' \\
  -d '{"username":"ada","email":"ada@mail.example","password":"Hello123!"}'

# confirm the address with the code from the mail, which the local stack keeps
CODE=$(curl -s "$API/_local/mail?to=ada@mail.example" | grep -oE '[0-9a-f]{32}' | tail -n 1)
curl -sw '\\n' $API/v1/auth/activate -H 'content-type: application/json' -d "{\\"code\\":\\"$CODE\\"}"

# sign in
TOKEN=$(curl -s $API/v1/auth/login -H 'content-type: application/json' \\
  -d '{"email":"ada@mail.example","password":"Hello123!"}' | grep -oE '"accessToken":"[^"]+' | cut -d '"' -f 4)

# one account, three dialects
curl -sw '\\n' $API/api/users/current -H "authorization: Bearer $TOKEN"
curl -sw '\\n' $API/v1/user           -H "authorization: Bearer $TOKEN"
curl -sw '\\n' $API/rest/users/ada    -H "authorization: Bearer $TOKEN"

# prove a test card with a dollar that is held and released
curl -sw '\\n' $API/api/users/current/verify-payment -H "authorization: Bearer $TOKEN" \\
  -H 'content-type: application/json' -d '{"paymentMethod":"pm_card_visa"}'
curl -sw '\\n' $API/api/users/current/list-payment-methods -H "authorization: Bearer $TOKEN"

# sign up for a bundle: $0.99 for 1,000 calls on top of the 100 of the trial
curl -sw '%{http_code}\\n' $API/v1/user/bundle -H "authorization: Bearer $TOKEN" -H 'content-type: application/json' \\
  -d '{"name":"STARTER","paymentMethod":"pm_card_visa","address":{"street":"Main st. 1","city":"York","postCode":"YO31 8SB","country":"GB"}}'

# spend three of them with the application key; the same request id again spends nothing
KEY=$(curl -s $API/v1/user -H "authorization: Bearer $TOKEN" | grep -oE '"apiKey":"[^"]+' | cut -d '"' -f 4)
curl -sw '\\n' $API/v1/usage -H "authorization: Bearer $KEY" \\
  -H 'content-type: application/json' -d '{"units":3,"requestId":"call-1"}'
curl -sw '\\n' $API/v1/usage -H "authorization: Bearer $KEY" \\
  -H 'content-type: application/json' -d '{"units":3,"requestId":"call-1"}'

# the use by day, the statement, the invoice with its receipt
curl -sw '\\n' $API/v1/usage  -H "authorization: Bearer $TOKEN"
curl -sw '\\n' $API/v1/ledger -H "authorization: Bearer $TOKEN"
INVOICE=$(curl -s $API/v1/invoice/list -H "authorization: Bearer $TOKEN" | grep -oE '[0-9a-f]{24}' | head -n 1)
curl -sw '\\n' $API/v1/invoice/$INVOICE -H "authorization: Bearer $TOKEN"`
