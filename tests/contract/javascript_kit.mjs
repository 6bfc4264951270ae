// The JavaScript kit, for the contract tests: says how it is reached, and runs until its standard input ends.
import { fakeInset } from '../../frontend-snippet/dist/testkit.js';

const [origin, webhooks, secret] = process.argv.slice(2);
const inset = await fakeInset({ origin });
if (webhooks) inset.sendWebhooks(webhooks, { secret });
const { url, issuer, keyId, key } = inset;
console.log(JSON.stringify({ url, issuer, key_id: keyId, key }));
process.stdin.on('end', () => void inset.close()).resume();
