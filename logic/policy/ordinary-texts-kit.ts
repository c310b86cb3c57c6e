// SPDX-License-Identifier: Apache-2.0
// What people write in a second-hand market without giving a way to reach them outside: no rule may hold any of it against them.

export const ORDINARY_ZH: readonly string[] = `你好，请问还在吗？
在的，可以直接拍
多少钱能卖？
最低多少，能包邮吗
1500包邮可以吗？
1450，不能再低了
1400行不行，今天就付
成色怎么样，有划痕吗
九成新，屏幕完美，边框有轻微磕碰
电池健康度87%
iPhone 13 Pro 256G 国行在保
iPhone15 Pro Max 512g 多少出
这个是128还是256的？
尺码是165/88A，我170能穿吗
鞋子42码的有吗？43也行
长120宽60高75厘米
身高172体重65公斤穿L合适吗
订单号2024112613800138000，帮我看一下
订单编号 3897456123009876543 还没发货
快递单号SF1380013800012
运单号 YT1390000111122 到哪里了
单号 773012345678901 请查收
什么时候发货？
明天下午3点前发，顺丰到付
11月26日发的，预计28号到
2024-11-26 10:30 拍的，现在还没发货
2024年11月26日下单
11/26 到 12/03 之间都可以
今天18:30能面交吗
周六下午2点地铁站B口见面交易可以吗
朝阳区建国路88号SOHO现代城3号楼1205室
收货地址：浙江省杭州市西湖区文三路138号2单元501
3室2厅1卫，110平，18楼
支持7天无理由吗
保修到2025年8月
2019款，开了38000公里
价格15000-16000之间
三千五能出吗？
一千二百块，包邮
一口价一千五，不刀
一二三年级的教材都有
五六七月份买的
买二送一，三件八折
三四个人用足够了
二零二三年买的，用了一年
一九八五年的老邮票
第一百三十五页有折痕
有七八成新吧，六十块拿走
一共四套，每套三十八元，四套一百五十二
可以用微信支付吗
微信付款还是支付宝？
我微信里没钱，用支付宝付可以吗
平台付款就行，不用微信转账
微信红包封面怎么卖
微信小程序上也能看到
微信读书会员还剩三个月
朋友圈里看到有人说这款不错
这个耳机支持微信语音吗
QQ音乐会员怎么卖
有qq音乐年卡吗
出一张QQ飞车的点卡
腾讯视频会员月卡25元
Q币100个90元
这个卫星电视接收器还能用吗
卫星锅盖多少钱
老师在班里很有威信
维修过吗？换过屏吗？
征信报告不需要
电话手表 Z6 还有保修吗
小天才电话手表能插卡吗
这款手机号码簿能同步吗
手机号卡槽有点松
华为Mate60 12+512 全网通
红米K70 16+1T 95新
rtx4090 24g 显卡 矿卡勿扰
i7 13700k 加 z790 主板一套
DDR5 6000 16Gx2
显示器 27寸 2560x1440 165hz
1080p 还是 4k 的？
西门子冰箱 610升 一级能效
洗衣机 10公斤 滚筒
佳能 24-70 2.8 镜头
尼康 70-200 f2.8 二代
A7M4 快门数 13542
单反快门次数15321次
表盘直径41毫米
18K金 3.52克
黄金每克580，一共15克
货号 DD1391-100
货号 555088-134 尺码 42.5
型号：WH-1000XM5
条码 6901234567892
ISBN 9787115546081
身份证复印件需要吗
银行卡尾号8888的订单
退款 1380 元已经到账了吗
一共 13800 元，分三次付
押金1000，租金3500，一共4500
我出1350，您看行吗
138卖不卖
150 160 170 三个尺码都有
165 170 175 80
价格100 200 300 都有
每个15，10个130，50个600
12345 上山打老虎
666，谢谢老板
哈哈哈哈 233333
88，拜拜
好的，520快乐
1314 一生一世
我要3个，2个红色，1个蓝色
要5箱，每箱12瓶
10月1日至10月7日放假，8日发货
航班 CA1234 8月15日 13:40
高铁G1380次 二等座
演唱会门票 A区 12排 8座
周杰伦 11月 18号 两张连座
网盘资料有效期7天
软件版本 3.5.12.1380
ip 地址不用改
wifi 密码贴在路由器背面
插上电源就可以用了
加个收藏，降价了告诉我
能加点赠品吗
加急发货可以吗，谢谢
加厚款的，冬天穿很暖
换个颜色可以吗
发个细节图看看
发个视频看下成色
给我留一个，晚上拍
留着吧，我明天下单
要发票的话加6个点
有没有小一点的
有没有原装充电器
找不到发货地址在哪里改
聊了半天到底卖不卖
上个买家退的，没用过
走顺丰吧，快一点
来一套，谢谢
扫一下二维码就能看教程
私信已看，可以的
平台担保交易，放心拍
走平台交易，不私下
系统提示不能私下交易
在闲置平台买过好几次了
我是新手，怎么下单？
点我头像进店看看
收到货了，很满意，五星好评
有点色差，能补偿10块吗
尺寸不合适，想退货
退货运费谁出？
已申请退款，请同意
已经确认收货了
催一下物流，三天没动了
派件员说今天送到
放驿站就行
门卫代收也可以
麻烦包装好一点，易碎
送人的，不要放价格单
生日礼物，能写贺卡吗
有黑色吗？白色也行
S码胸围多少
裤长102，腰围76
棉的还是涤纶的？
可以小刀吗
刀一点，诚心要
诚心要的话1280给你
1280行，改价吧
改好价了，您拍
拍下了，尽快发货
好的，亲，今天发
亲，在的，有什么可以帮您
您好，本店支持七天无理由退换
欢迎光临，喜欢可以直接下单
这款卖完了，还有同款不同色
谢谢，祝您生活愉快
不好意思，刚看到
昨晚睡着了，现在回复您
你说的那个问题我问了厂家
三天内发货，节假日顺延
小红书上看到的同款
抖音上买的，九成新
有ins风的台灯吗
飞机模型1:400的还有吗
坐飞机可以带吗
电报机古董，民国的
企鹅公仔多少钱
绿色的还有吗
微波炉还能用吗？
微距镜头 100mm f2.8
薇诺娜面霜保质期到什么时候
威士忌酒杯一对
维生素保质期2026年3月
V领还是圆领
v2版本和v3版本有什么区别
Vivo X100 有货吗
VX5 路由器好用吗
音响是wx系列吗
这把六弦吉他，二手的
三七粉，四川的
零食一箱，九块九
二八自行车，老物件
五七八月份都能用
我起初以为是新的，就是有点旧
流水号在哪里看
是我要的那款，谢谢
就这样吧，我要了
1、外观 2、屏幕 3、电池 都没问题
1.成色 2.价格 3.邮费
第1章到第9章都有笔记
2、4、6、8号都有空
周一到周五 9:00-18:00 有人
营业时间10:00-22:00
13、14、15号我都在家
分辨率 1920*1080 刷新率 144
14寸 i5 16g 512g 4g独显
螺丝 M6x15 每包100个
纸箱 60*40*50 三个
邮编 310012
净重 1.5kg 毛重 2kg
一米八的床，两米长
2米*1.8米 棕垫
满300减50，再减20
尾款1350，定金150
先付定金300，余款1050见面付`.split("\n");

export const ORDINARY_EN: readonly string[] = `Hi, is this still available?
Yes, it is. Feel free to buy it now.
Would you take $150 for it?
Lowest I can go is $1,350.00 shipped
How about 1500? I can pay today.
I can do 1450, 1400 if you buy two
Is the battery health above 85%?
iPhone 13 Pro 256GB, unlocked, no scratches
Does it come with the original charger?
What size is it? I'm a US 9.5 / EU 43
Chest 42in, length 28in, sleeve 25in
Order #138001380001234 has not shipped yet
My order number is 2024112600013800
Tracking: 1Z999AA10123456784
Tracking number 9400 1000 0000 0000 0000 00
USPS says delivered on 11/26/2024
Delivered 2024-11-26 at 10:30 AM
Let's meet at 6:30 pm on Saturday
I'll be there between 5 and 7
Pick up at 138 Main Street, unit 501?
ZIP code is 94107
The model number is WH-1000XM5
Serial starts with C02
It has 38,000 miles on it, 2019 model
256 512 1024, which storage do you have?
RTX 4090 24GB, never mined
i7-13700K with 32GB DDR5-6000
27 inch, 2560x1440, 165Hz
Canon 24-70mm f/2.8L II
Shutter count is 13542
Can I pay with WeChat Pay?
Do you accept wechat payment or card only?
PayPal is fine, through the site please
Please keep everything on the platform
I don't do deals outside, sorry about the wait
The email confirmation did not arrive
I got the e-mail from support already
Is it waterproof? I swim a lot
My line of work needs a quiet keyboard
I saw it on Instagram and loved it
Any discord in the sound at high volume?
The signal is weak in my area
Is this the latest version, v2.1.0?
Could you add more pictures?
Can you add a case to the package?
Please contact support if the lock fails
Contact lenses, unopened, two boxes
I would like to return it, it does not fit
Refund of $13.80 was received, thanks
Total is $1380, three payments of $460
Great seller, five stars, thank you!
See you at the station at 9
Ok. Me too. Thanks. I am happy with it.
It's 10 x 12 x 15 inches
One or two left, three at most
Two for one, four for three
Seven of nine are still sealed
I need one in red and two in blue
Room 1205, building 3, floor 18
Flight CA1234 leaves at 13:40 on 15/08
Score was 3-2 after 120 minutes
Top 10 of 2023, vol. 1 to 5
ISBN 978-7-115-54608-1
Batch 2023/08, best before 2026/03
Save 15%, 30% off from 300
What's the wattage, 65W or 100W?
Ships within 24 hours, arrives in 3-5 days
Working hours are 9:00-18:00, Mon to Fri
Is it in Chinese or English?
The wx series or the older vs series?
No dents, no rust, works well`.split("\n");
