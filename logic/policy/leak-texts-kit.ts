// SPDX-License-Identifier: Apache-2.0
// Ways in which people give a contact past a filter, by what they give. The numbers are made up.
import type { ContactKind } from "./contacts.ts";

export const LEAKS: Readonly<Record<ContactKind, readonly string[]>> = {
  phone: `13800138000
我的电话13912345678
打我 139 1234 5678
139-1234-5678
139.1234.5678 随时打
139_1234_5678
139 12345678
1391234 5678
1 3 9 1 2 3 4 5 6 7 8
1-3-9-1-2-3-4-5-6-7-8
1.3.9.1.2.3.4.5.6.7.8
139****1234****5678 去掉星号
１３９１２３４５６７８
①③⑨①②③④⑤⑥⑦⑧
❶❸❾❶❷❸❹❺❻❼❽
1️⃣3️⃣9️⃣1️⃣2️⃣3️⃣4️⃣5️⃣6️⃣7️⃣8️⃣
𝟏𝟑𝟗𝟏𝟐𝟑𝟒𝟓𝟔𝟕𝟖
⑴⑶⑼⑴⑵⑶⑷⑸⑹⑺⑻
¹³⁹¹²³⁴⁵⁶⁷⁸
١٣٩١٢٣٤٥٦٧٨
一三九一二三四五六七八
幺三九幺二三四五六七八
壹叁玖壹贰叁肆伍陆柒捌
壹參玖壹貳參肆伍陸柒捌
一三九 一二三四 五六七八
一三九-1234-五六七八
139一二三四5678
1三9一2三4五6七8
么三勾么两三四五六拐八
one three nine one two three four five six seven eight
onethreenineonetwothreefourfivesixseveneight
1 three 9 one 2 3 four 5 6 seven 8
yao san jiu yi er san si wu liu qi ba
l39l2345678
I39I23456O8
139o1234o67
要三酒要儿山死我流起爸
妖伞酒依儿三四舞刘七吧
1啊3啊9啊1啊2啊3啊4啊5啊6啊7啊8
1a3a9a1a2a3a4a5a6a7a8
1😀3😀9😀1😀2😀3😀4😀5😀6😀7😀8
139😀1234😀5678
1\u200b3\u200b9\u200b1\u200b2\u200b3\u200b4\u200b5\u200b6\u200b7\u200b8
1\u03003\u03009\u03001\u03002\u03003\u03004\u03005\u03006\u03007\u03008\u0300
+86 139 1234 5678
+8613912345678
8613912345678
0086 13912345678
(139)12345678
【139】【1234】【5678】
139/1234/5678
139,1234,5678
139，1234，5678
v13912345678
tel13912345678
座机 010-62345678
0571-88123456 找小王
021 6234 5678
+1 (415) 555-2671
415-555-2671 call me
+44 20 7946 0958
+852 9123 4567
电话 8812 3456
call me at 5552 6718
手机号是139 1234 5678，晚上打
13⑨1二3④5六7⑧`
    .split("\n")
    .map((text) =>
      text.replace(/\\u([0-9a-f]{4})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    ),
  wechat: `加我微信
加个微信聊吧
加微信abc12345
微信号：lili_8899
微信号 lili8899
微信:lily1990
微信同号
微信聊
v信 lili_8899
V信：lili8899
加V
加v：lili8899
加薇
加薇信详聊
薇信lili8899
薇芯 lili8899
微❤️ lili8899
微 信 lili8899
微.信.lili8899
微-信号 lili8899
威❤ lili8899
加卫星 lili8899
卫星号：lili8899
加威信
徽信 lili8899
vx lili8899
VX：lili8899
v x lili8899
v-x lili8899
ＶＸ lili8899
wx lili8899
WX:lili8899
ⓋⓍ lili8899
🇻🇽 lili8899
w x : lili8899
weixin lili8899
加weixin
wei xin lili8899
留个微信
换个微信吧
有微信吗
给个微信
发你微信号
找我微信说
微x lili8899
vx13912
加 vx
+V lili8899
➕微信
➕V lili8899
加绿泡泡
微信 88996655
薇：lili8899
add me on wechat
my wechat is lily1990
wechat: lily1990
we chat id lily1990
text me on WeChat`.split("\n"),
  qq: `加QQ 88996655
qq：88996655
QQ号88996655
Q Q 88996655
扣扣88996655
企鹅号88996655
加q 88996655
加扣扣聊
Q：88996655
🐧88996655
ＱＱ８８９９６６５５
叩叩 88996655
qq群 88996655
有qq吗 加一下
my qq is 88996655`.split("\n"),
  handle: `telegram: lily_1990
加我电报 lily_1990
加telegram
TG：lily1990
whatsapp me +44 20 7946 0958
my whatsapp is lily
line id: lily1990
加line聊
my Instagram is lily_1990
ig: lily_1990
抖音号：lili8899
加我抖音
小红书号 lili8899
find me on discord
t.me/lily1990
wa.me/4420
加我ins
dm me on instagram
上飞机聊 lily_1990`.split("\n"),
  email: `lily@example.com
邮箱 lily1990@163.com
lily1990 @ qq.com
lily艾特163点com
lily at gmail dot com
lily(at)gmail(dot)com
lily[at]gmail.com
88996655@qq
lily1990＠ｑｑ．ｃｏｍ
lily圈a163点com`.split("\n"),
  invite: `留个电话吧
给个联系方式
发我手机号
换个地方聊
我们线下交易吧
不走平台转账给你便宜
let's deal outside the app
能给我你的电话吗`.split("\n"),
};

/** Contacts in several messages of one sender. */
export const LEAKS_ACROSS: readonly (readonly string[])[] = [
  ["139", "1234", "5678"],
  ["13912", "345678"],
  ["1391", "2345", "678"],
  ["1", "3", "9", "1", "2", "3", "4", "5", "6", "7", "8"],
  ["一三九", "一二三四", "五六七八"],
  ["139", "好的呀，在的", "1234", "5678"],
  ["前面139", "1234", "后面5678"],
  ["①③⑨", "①②③④", "⑤⑥⑦⑧"],
  ["vx", "lili8899"],
  ["v", "x", "lili8899"],
  ["微", "信", "lili8899"],
  ["微信", "lili_8899"],
  ["qq", "88996655"],
  ["lily1990", "@", "163.com"],
];

/** Several messages of one sender that give nothing together. */
export const ORDINARY_ACROSS: readonly (readonly string[])[] = [
  ["1500", "1450", "140"],
  ["1500", "1450", "139"],
  ["150", "140", "130", "12"],
  ["18", "20", "22"],
  ["165", "170", "175", "80"],
  ["3个", "5个", "10个"],
  ["1", "2", "3"],
  ["13:00", "14:30", "15:00"],
  ["微信", "支付可以吗"],
  ["用微信付吗", "好的"],
  ["v", "领的"],
  ["好的", "明天", "下午3点"],
  ["42", "43", "44", "45"],
  ["138卖不卖", "1200", "1100"],
  ["2024", "11", "26"],
  ["1280", "包邮", "1250"],
];
